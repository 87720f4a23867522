//! The component's allocator: a stack that sweeps, in place of wasi-libc's.
//!
//! A call into the component allocates, answers, and frees everything, mostly
//! in the order in which the host and the block by block codec come and go. So
//! allocating moves the top up; freeing what is on top moves it down; freeing
//! what is not only marks it; and when nothing is left the stack begins anew.
//! A load of 100,000 entries allocates 200,000 times: against wasi-libc's
//! allocator this takes a quarter off its time.
//!
//! While a reader or a writer is open, the stack is never empty. So before the
//! top goes further up by much, and once enough is marked to be worth it, a
//! sweep joins what is marked and next to each other into gaps, and what
//! follows comes from those. However long it goes on, and in whatever order
//! things are freed, the stack is thus a third longer than what is in use,
//! besides `STEP` and the gaps that are too short for what is asked.
//!
//! It stands in at the level of C, since what the host passes in is allocated
//! by wasi-libc and freed by Rust, or the other way round: there must be one
//! allocator for both.

use std::cell::Cell;
use std::ptr;

/// Where the stack gets its memory from.
pub trait Memory {
    /// Gives at least this many bytes that nobody else uses, above all that it
    /// gave before and aligned to `ALIGN`, as a pointer and their number; none
    /// where there are no more.
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)>;
}

/// The alignment of every block, unless more is asked for, and the room for
/// the number before it that tells its size.
const ALIGN: usize = 8;

/// In the number before a block: it is free. Sizes are multiples of `ALIGN`.
const FREE: usize = 1;

/// How far the top goes up before a look whether a sweep is worth it.
const STEP: usize = 1024 * 1024;

/// Gaps are listed by size, in two classes for each power of two; from the
/// last class on, all in that one.
const CLASSES: usize = 64;

/// How many gaps of its own class an allocation tries: each of a higher one is
/// long enough.
const TRIES: usize = 8;

/// A stack of blocks. For one thread only.
pub struct Stack<M> {
    memory: M,
    /// Where the newest piece of memory begins.
    bottom: Cell<*mut u8>,
    /// Where its blocks end.
    top: Cell<*mut u8>,
    /// How far the top may go before anything else is tried.
    limit: Cell<*mut u8>,
    /// Where the newest piece of memory ends.
    end: Cell<*mut u8>,
    /// How many blocks are in use, in this and in older pieces.
    live: Cell<usize>,
    /// How many bytes were freed below the top since the last sweep.
    marked: Cell<usize>,
    /// The first gap of each class; each gap begins with a pointer to the next.
    gaps: [Cell<*mut u8>; CLASSES],
    /// A bit for each class that has a gap; what `gaps` tells of others is old.
    classes: Cell<u64>,
}

// SAFETY: only used in a component, whose target has one thread: it is built
// without the atomics that a second would need.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<M> Sync for Stack<M> {}

// A block is `ALIGN` bytes that begin with its size, and then as many bytes as
// that says. Between the bottom and the top there are blocks and nothing else,
// each beginning where the last one ends, some of them live and the others
// marked as free; so no two overlap. All that changes them keeps that:
//
// - Allocating on top appends a block, and a free one before it where the
//   alignment leaves space; cutting a block turns it into several, which fill
//   the same space; and a sweep joins free ones, or drops them from the top.
// - Freeing marks a block, or drops the one that ends at the top, or all of
//   them when none is live.
// - Resizing cuts a block, or moves the end of the last one and the top alike.
// - New memory moves the end, or begins a new piece above it. What is in the
//   old one stays as it is, and out of sweeps: its blocks can be freed, which
//   marks them, and its gaps used until the next sweep forgets them. Its blocks
//   end below the new bottom, so none of them is taken for the last one.
//
// A gap is a free block in the list, once, and begins with a pointer to the
// next. It leaves the list before it is used. It is joined to others only by a
// sweep, which empties the list first, and then lists each block that it left
// free. It is dropped only by a sweep, or where none is live, which empties the
// list too: what `free` and `resize` take from the top is live.
impl<M: Memory> Stack<M> {
    /// An empty stack.
    pub const fn new(memory: M) -> Stack<M> {
        Stack {
            memory,
            bottom: Cell::new(ptr::null_mut()),
            top: Cell::new(ptr::null_mut()),
            limit: Cell::new(ptr::null_mut()),
            end: Cell::new(ptr::null_mut()),
            live: Cell::new(0),
            marked: Cell::new(0),
            gaps: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            classes: Cell::new(0),
        }
    }

    /// Gives a block of at least this many bytes, aligned to a power of two
    /// that is at least `ALIGN`; null where there is no memory for it.
    pub fn allocate(&self, size: usize, align: usize) -> *mut u8 {
        let Some(size) = size.checked_next_multiple_of(ALIGN) else {
            return ptr::null_mut();
        };
        let block = self.push(size, align);
        match block.or_else(|| self.find(size, align)) {
            Some(block) => {
                self.live.set(self.live.get() + 1);
                block
            }
            None => ptr::null_mut(),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// `block` came from this stack, and was not taken back since.
    pub unsafe fn free(&self, block: *mut u8) {
        self.live.set(self.live.get() - 1);
        // SAFETY: the block is live.
        let size = unsafe { header(block).read() };
        if self.live.get() == 0 {
            self.classes.set(0);
            self.marked.set(0);
            self.move_top(self.bottom.get());
        } else if block.wrapping_add(size) == self.top.get() {
            self.move_top(block.wrapping_sub(ALIGN));
        } else {
            // SAFETY: it was live, and is nobody's now.
            unsafe { self.mark(block, size) };
        }
    }

    /// Makes a block longer or shorter, and moves it if need be. Null where
    /// there is no memory for it: then the block is as it was.
    ///
    /// # Safety
    ///
    /// `block` came from this stack, and was not taken back since.
    pub unsafe fn resize(&self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the block is live.
        let old = unsafe { header(block).read() };
        let Some(size) = size.checked_next_multiple_of(ALIGN) else {
            return ptr::null_mut();
        };
        let is_last = block.wrapping_add(old) == self.top.get();
        if is_last && size.saturating_sub(old) <= self.left() {
            // SAFETY: the number before the block is its own.
            unsafe { header(block).write(size) };
            self.move_top(block.wrapping_add(size));
            return block;
        }
        if size <= old {
            // SAFETY: the block is live, and this long.
            if let Some((rest, size)) = unsafe { cut(block, size) } {
                // SAFETY: it is the end of a block whose owner gives it up.
                unsafe { self.mark(rest, size) };
            }
            return block;
        }
        let new = self.allocate(size, ALIGN);
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the old one, and the
            // new one overlaps no live one. The old one is freed once.
            unsafe {
                ptr::copy_nonoverlapping(block, new, old);
                self.free(block);
            }
        }
        new
    }

    /// Puts a block on top, below the limit.
    fn push(&self, size: usize, align: usize) -> Option<*mut u8> {
        let top = self.top.get();
        let first = top.wrapping_add(ALIGN);
        let space = first.addr().wrapping_neg() & (align - 1);
        let needed = (ALIGN + space).checked_add(size)?;
        if needed > self.left() {
            return None;
        }
        let block = first.wrapping_add(space);
        self.top.set(top.wrapping_add(needed));
        // SAFETY: all of this was between the top and the limit. The space is
        // a multiple of `ALIGN`, as the alignment is.
        unsafe {
            if space > 0 {
                self.mark(first, space - ALIGN);
            }
            header(block).write(size);
        }
        Some(block)
    }

    /// Finds a place for a block where there is none below the limit.
    #[cold]
    #[inline(never)]
    fn find(&self, size: usize, align: usize) -> Option<*mut u8> {
        // Enough wherever it begins, with what comes before it.
        let most = size.checked_add(align)?;
        loop {
            if let Some(gap) = self.take_gap(most - ALIGN) {
                let space = gap.addr().wrapping_neg() & (align - 1);
                let block = gap.wrapping_add(space);
                // SAFETY: the gap is nobody's, and long enough for the space
                // and the block. The space is a multiple of `ALIGN`.
                unsafe {
                    let whole = header(gap).read() & !FREE;
                    if space > 0 {
                        self.list(gap, space - ALIGN);
                    }
                    header(block).write(whole - space);
                    if let Some((rest, size)) = cut(block, size) {
                        self.list(rest, size);
                    }
                }
                return Some(block);
            }
            let marked = self.marked.get();
            let is_worth_it = marked > (self.top.get().addr() - self.bottom.get().addr()) / 4;
            if is_worth_it || !self.raise(most) {
                if marked == 0 {
                    return None;
                }
                self.coalesce();
            }
            if let Some(block) = self.push(size, align) {
                return Some(block);
            }
        }
    }

    /// Joins free blocks that are next to each other, takes them off the top,
    /// and lists the others as gaps.
    fn coalesce(&self) {
        self.classes.set(0);
        self.marked.set(0);
        let mut free: Option<*mut u8> = None;
        let mut block = self.bottom.get().wrapping_add(ALIGN);
        let first_above = self.top.get().wrapping_add(ALIGN);
        while block < first_above {
            // SAFETY: from the bottom to the top there are blocks and nothing
            // else. What is listed is a number of them, all free.
            unsafe {
                let size = header(block).read();
                match free {
                    None if size & FREE != 0 => free = Some(block),
                    Some(first) if size & FREE == 0 => {
                        self.list(first, block.addr() - first.addr() - ALIGN);
                        free = None;
                    }
                    _ => {}
                }
                block = block.wrapping_add((size & !FREE) + ALIGN);
            }
        }
        let top = free.map_or(self.top.get(), |first| first.wrapping_sub(ALIGN));
        self.move_top(top);
    }

    /// Marks a block as free, for the next sweep to find.
    ///
    /// # Safety
    ///
    /// These bytes and `ALIGN` before them are nobody's.
    unsafe fn mark(&self, block: *mut u8, size: usize) {
        // SAFETY: as the caller says.
        unsafe { header(block).write(size | FREE) };
        self.marked.set(self.marked.get() + ALIGN + size);
    }

    /// Marks a block as free, and lists it as a gap if it is not too short.
    ///
    /// # Safety
    ///
    /// These bytes and `ALIGN` before them are nobody's, and not in the list.
    unsafe fn list(&self, block: *mut u8, size: usize) {
        // SAFETY: as the caller says.
        unsafe { header(block).write(size | FREE) };
        let class = class(size);
        let (true, Some(first)) = (size > 0, self.gaps.get(class)) else {
            return;
        };
        let classes = self.classes.get();
        let next = match classes >> class & 1 {
            0 => ptr::null_mut(),
            _ => first.get(),
        };
        // SAFETY: a size is a multiple of `ALIGN`, which a pointer fits in.
        unsafe { block.cast::<*mut u8>().write(next) };
        first.set(block);
        self.classes.set(classes | 1 << class);
    }

    /// Takes a gap of at least this size out of the list.
    fn take_gap(&self, size: usize) -> Option<*mut u8> {
        let least = class(size);
        let mut classes = self.classes.get() >> least << least;
        while classes != 0 {
            let class = classes.trailing_zeros() as usize;
            let first = self.gaps.get(class)?;
            let mut link = first.as_ptr();
            for _ in 0..TRIES {
                // SAFETY: a link is to a gap or null, and a gap begins with one.
                unsafe {
                    let gap = *link;
                    if gap.is_null() {
                        break;
                    }
                    if header(gap).read() & !FREE >= size {
                        *link = gap.cast::<*mut u8>().read();
                        if first.get().is_null() {
                            self.classes.set(self.classes.get() & !(1 << class));
                        }
                        return Some(gap);
                    }
                    link = gap.cast();
                }
            }
            classes &= classes - 1;
        }
        None
    }

    /// How far the top may still go.
    fn left(&self) -> usize {
        self.limit.get().addr() - self.top.get().addr()
    }

    /// Moves the limit to at least this far above the top, which is elsewhere
    /// if new memory is. False where there is no memory.
    fn raise(&self, needed: usize) -> bool {
        let left = loop {
            let (top, end) = (self.top.get(), self.end.get());
            let left = end.addr() - top.addr();
            if needed <= left {
                break left;
            }
            let Some((start, length)) = self.memory.grow(needed - left) else {
                return false;
            };
            if start != end {
                self.bottom.set(start);
                self.top.set(start);
                self.limit.set(start);
            }
            self.end.set(start.wrapping_add(length));
        };
        let step = needed.max(left.min(STEP));
        self.limit.set(self.top.get().wrapping_add(step));
        true
    }

    /// Moves the top, and the limit with it.
    fn move_top(&self, top: *mut u8) {
        self.top.set(top);
        if self.left() > STEP {
            self.limit.set(top.wrapping_add(STEP));
        }
    }
}

/// Where the size of a block stands.
fn header(block: *mut u8) -> *mut usize {
    block.wrapping_sub(ALIGN).cast()
}

/// The class of gaps of this size.
fn class(size: usize) -> usize {
    let size = size.max(ALIGN);
    let power = size.ilog2();
    let half = size >> (power - 1) & 1;
    let class = 2 * (power - ALIGN.ilog2()) as usize + half;
    class.min(CLASSES - 1)
}

/// Makes a block this long, and gives what is left of it.
///
/// # Safety
///
/// The block is nobody else's, and at least this long.
unsafe fn cut(block: *mut u8, size: usize) -> Option<(*mut u8, usize)> {
    // SAFETY: as the caller says.
    unsafe {
        let rest = header(block).read() - size;
        header(block).write(size);
        // Both sizes are multiples of `ALIGN`.
        (rest > 0).then(|| (block.wrapping_add(size + ALIGN), rest - ALIGN))
    }
}

/// What wasi-libc and Rust's standard library call, in place of wasi-libc's.
#[cfg(target_family = "wasm")]
mod c {
    use super::{ALIGN, Memory, Stack};
    use std::ptr;

    static STACK: Stack<Linear> = Stack::new(Linear);

    /// The memory of the component.
    struct Linear;

    impl Memory for Linear {
        fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
            const PAGE: usize = 64 * 1024;
            // Not a page at a time: each is a call to the host.
            let least = bytes.div_ceil(PAGE);
            [least.max(16), least].into_iter().find_map(|pages| {
                let before = core::arch::wasm32::memory_grow::<0>(pages);
                let start = before.checked_mul(PAGE)?;
                let memory = ptr::with_exposed_provenance_mut(start);
                Some((memory, pages.checked_mul(PAGE)?))
            })
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut u8 {
        STACK.allocate(size, ALIGN)
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
        let Some(size) = count.checked_mul(size) else {
            return ptr::null_mut();
        };
        let block = STACK.allocate(size, ALIGN);
        if !block.is_null() {
            // SAFETY: the block is at least this long.
            unsafe { block.write_bytes(0, size) };
        }
        block
    }

    #[unsafe(no_mangle)]
    extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
        STACK.allocate(size, align.max(ALIGN))
    }

    /// # Safety
    ///
    /// As C has it: `block` can be written to.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(block: *mut *mut u8, align: usize, size: usize) -> i32 {
        const ENOMEM: i32 = 48;
        let new = STACK.allocate(size, align.max(ALIGN));
        if new.is_null() {
            return ENOMEM;
        }
        // SAFETY: the caller vouches for it.
        unsafe { block.write(new) };
        0
    }

    /// # Safety
    ///
    /// As C has it: `block` is null, or came from here and was not freed.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            STACK.allocate(size, ALIGN)
        } else {
            // SAFETY: the caller vouches that the block is live.
            unsafe { STACK.resize(block, size) }
        }
    }

    /// # Safety
    ///
    /// As C has it: `block` is null, or came from here and was not freed.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(block: *mut u8) {
        if !block.is_null() {
            // SAFETY: the caller vouches that the block is live.
            unsafe { STACK.free(block) };
        }
    }
}

#[cfg(test)]
mod tests;
