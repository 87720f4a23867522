//! The component's allocator: a stack.
//!
//! A call into the component allocates, answers, and frees everything, mostly
//! in the order in which the host and the block by block codec come and go. So
//! allocating moves the top up; freeing what is on top moves it down; freeing
//! what is not waits for the end, when nothing is left and the stack begins
//! anew. A load of 100,000 entries allocates 200,000 times: against wasi-libc's
//! allocator this takes a third off its time (`docs/storage.md`).

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Where the stack gets its memory from.
pub trait Memory {
    /// Gives at least this many bytes that nobody else uses, as a pointer and
    /// their number; none where there are no more.
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)>;
}

/// A stack of allocations. For one thread only.
pub struct Stack<M> {
    memory: M,
    /// The bottom, the top and the limit of the newest piece of memory.
    region: Cell<[*mut u8; 3]>,
    /// How many allocations there are, in this and in older pieces.
    live: Cell<usize>,
}

// SAFETY: only used as the allocator of a component, whose target has one
// thread: it is built without the atomics that a second would need.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<M> Sync for Stack<M> {}

impl<M: Memory> Stack<M> {
    /// An empty stack.
    pub const fn new(memory: M) -> Stack<M> {
        Stack {
            memory,
            region: Cell::new([ptr::null_mut(); 3]),
            live: Cell::new(0),
        }
    }

    /// Where an allocation would begin and end, if there is memory for it.
    fn place(&self, layout: Layout) -> Option<(*mut u8, *mut u8)> {
        let fit = |[_, top, limit]: [*mut u8; 3]| {
            let padding = top.addr().wrapping_neg() & (layout.align() - 1);
            let needed = padding.checked_add(layout.size())?;
            let left = limit.addr() - top.addr();
            // Within the piece of memory, so that pointers stay within it too.
            (needed <= left).then(|| {
                let start = top.wrapping_add(padding);
                (start, start.wrapping_add(layout.size()))
            })
        };
        // New memory mostly continues the piece there is. Where it does not, the
        // second time it does.
        for _ in 0..2 {
            let region @ [bottom, top, limit] = self.region.get();
            if let Some(place) = fit(region) {
                return Some(place);
            }
            let needed = layout.size().checked_add(layout.align())?;
            let left = limit.addr() - top.addr();
            let (start, length) = self.memory.grow(needed.saturating_sub(left).max(1))?;
            let end = start.wrapping_add(length);
            self.region.set(if start == limit {
                [bottom, top, end]
            } else {
                [start, start, end]
            });
        }
        fit(self.region.get())
    }

    fn set_top(&self, top: *mut u8) {
        let [bottom, _, limit] = self.region.get();
        self.region.set([bottom, top, limit]);
    }

    fn is_on_top(&self, start: *mut u8, size: usize) -> bool {
        start.wrapping_add(size) == self.region.get()[1]
    }
}

// SAFETY: a block lies between the top at its allocation and the top after it,
// in memory that `Memory::grow` gave to nobody else, and is aligned by the
// padding. No block overlaps a live one: every live block ends at the top or
// below it (or in an older piece of memory, which is not given out again).
// Allocating keeps that, as it moves the top to the end of the new block.
// Freeing moves the top down in two cases: to the start of the block that ends
// at the top, and all others end where it begins or below, as they were below
// the top when it was allocated, or were placed above it and are gone, since
// nothing ends above the top; and to the bottom when no block is live.
// Resizing moves the top with the end of the block that ends there, within the
// piece of memory, or leaves the block where it is and the top alone.
unsafe impl<M: Memory> GlobalAlloc for Stack<M> {
    #[inline(never)] // A call costs less than its code at every place.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((start, end)) = self.place(layout) else {
            return ptr::null_mut();
        };
        self.set_top(end);
        self.live.set(self.live.get() + 1);
        start
    }

    #[inline(never)]
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        self.live.set(self.live.get() - 1);
        if self.live.get() == 0 {
            self.set_top(self.region.get()[0]);
        } else if self.is_on_top(start, layout.size()) {
            self.set_top(start);
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let [_, top, limit] = self.region.get();
        let is_on_top = self.is_on_top(start, layout.size());
        if is_on_top && size <= layout.size() + (limit.addr() - top.addr()) {
            self.set_top(start.wrapping_add(size));
            return start;
        }
        if size <= layout.size() {
            return start;
        }
        // SAFETY: the caller vouches that the size, rounded up to the
        // alignment, is not too large for a layout.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the old one, and the
            // new one overlaps no live one. The old one is freed once.
            unsafe {
                ptr::copy_nonoverlapping(start, new, layout.size());
                self.dealloc(start, layout);
            }
        }
        new
    }
}

/// The memory of a component.
#[cfg(target_family = "wasm")]
pub struct Linear;

#[cfg(target_family = "wasm")]
impl Memory for Linear {
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
        const PAGE: usize = 64 * 1024;
        // Not a page at a time: each is a call to the host.
        let pages = bytes.div_ceil(PAGE).max(16);
        let before = core::arch::wasm32::memory_grow::<0>(pages);
        let start = before.checked_mul(PAGE)?;
        (before != usize::MAX).then(|| (ptr::with_exposed_provenance_mut(start), pages * PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{alloc, dealloc};
    use std::cell::RefCell;

    /// Pieces of the system's memory, up to a limit.
    struct Pieces {
        pieces: RefCell<Vec<(*mut u8, Layout)>>,
        most: usize,
    }

    impl Memory for Pieces {
        fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
            let mut pieces = self.pieces.borrow_mut();
            if pieces.len() == self.most {
                return None;
            }
            let layout = Layout::from_size_align(bytes.max(1000), 1).unwrap();
            // SAFETY: the size is not zero.
            let start = unsafe { alloc(layout) };
            pieces.push((start, layout));
            Some((start, layout.size()))
        }
    }

    impl Drop for Pieces {
        fn drop(&mut self) {
            for (start, layout) in self.pieces.borrow_mut().drain(..) {
                // SAFETY: it was allocated with this layout.
                unsafe { dealloc(start, layout) };
            }
        }
    }

    fn stack(most: usize) -> Stack<Pieces> {
        let pieces = RefCell::default();
        Stack::new(Pieces { pieces, most })
    }

    /// A live block, filled with a byte of its own.
    struct Block {
        start: *mut u8,
        layout: Layout,
        fill: u8,
    }

    impl Block {
        fn check(&self) {
            assert!(self.start.addr().is_multiple_of(self.layout.align()));
            for at in 0..self.layout.size() {
                // SAFETY: within the block, which was filled.
                assert_eq!(unsafe { *self.start.add(at) }, self.fill);
            }
        }
    }

    /// Random allocations, resizings and frees; whatever overlaps or moves
    /// without its contents shows, and under Miri whatever is out of bounds.
    #[test]
    fn no_block_overlaps_another() {
        let stack = stack(usize::MAX);
        let mut blocks: Vec<Block> = Vec::new();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for round in 0..if cfg!(miri) { 300 } else { 20_000 } {
            let size = 1 + random(300);
            match random(5) {
                0 | 1 => {
                    let layout = Layout::from_size_align(size, 1 << random(5)).unwrap();
                    // SAFETY: the size is not zero.
                    let start = unsafe { stack.alloc(layout) };
                    let fill = round as u8;
                    // SAFETY: the block was just allocated with this size.
                    unsafe { start.write_bytes(fill, size) };
                    blocks.push(Block {
                        start,
                        layout,
                        fill,
                    });
                }
                2 if !blocks.is_empty() => {
                    let at = if random(2) == 0 {
                        blocks.len() - 1
                    } else {
                        random(blocks.len())
                    };
                    let block = &mut blocks[at];
                    let old = block.layout;
                    block.layout = Layout::from_size_align(size, old.align()).unwrap();
                    // SAFETY: the block is live and has this layout.
                    block.start = unsafe { stack.realloc(block.start, old, size) };
                    for at in 0..size.min(old.size()) {
                        // SAFETY: within what was resized.
                        assert_eq!(unsafe { *block.start.add(at) }, block.fill);
                    }
                    // SAFETY: within the block.
                    unsafe { block.start.write_bytes(block.fill, size) };
                }
                3 if !blocks.is_empty() => {
                    let at = if random(2) == 0 {
                        blocks.len() - 1
                    } else {
                        random(blocks.len())
                    };
                    let block = blocks.remove(at);
                    block.check();
                    // SAFETY: the block is live and has this layout.
                    unsafe { stack.dealloc(block.start, block.layout) };
                }
                _ => {}
            }
            blocks.iter().for_each(Block::check);
        }
    }

    #[test]
    fn what_is_freed_is_used_again() {
        let stack = stack(1);
        let layout = Layout::from_size_align(100, 8).unwrap();
        for _ in 0..1000 {
            // SAFETY: sizes are not zero, and blocks are freed once.
            unsafe {
                let below = stack.alloc(layout);
                let above = stack.alloc(layout);
                assert!(!below.is_null() && !above.is_null());
                stack.dealloc(below, layout);
                stack.dealloc(above, layout);
                let below = stack.alloc(layout);
                for _ in 0..100 {
                    let above = stack.alloc(layout);
                    assert!(!above.is_null());
                    stack.dealloc(above, layout);
                }
                stack.dealloc(below, layout);
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_null_and_costs_nothing() {
        let stack = stack(1);
        let layout = Layout::from_size_align(100, 8).unwrap();
        let huge = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
        // SAFETY: sizes are not zero, and the block is freed once.
        unsafe {
            let block = stack.alloc(layout);
            block.write_bytes(7, 100);
            assert!(stack.alloc(huge).is_null());
            assert!(stack.realloc(block, layout, 5000).is_null());
            assert_eq!(*block.add(99), 7);
            stack.dealloc(block, layout);
        }
    }
}
