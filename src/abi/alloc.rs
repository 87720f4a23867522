//! The allocator of the component: a stack that reuses its gaps, in place of wasi-libc's allocator.
//!
//! A call into the component allocates memory, returns, and frees all of it, mostly in the reverse
//! order. Allocating moves the top of the stack up. Freeing the last block moves the top down.
//! Freeing another block only marks it. When no block is left, the stack begins anew. A load of
//! 100,000 entries allocates 200,000 times, and takes a quarter less time than with wasi-libc's
//! allocator.
//!
//! While a reader or a writer is open, the stack is never empty. So free blocks are coalesced into
//! gaps before the top rises far, once enough bytes are marked. Later allocations use these gaps.
//! So the stack is at most a third longer than the blocks in use, besides `STEP` and the gaps that
//! are too short. This holds for any number of allocations, and for any order of frees.
//!
//! It replaces the functions of C. The memory that the host passes in is allocated by wasi-libc and
//! freed by Rust, or the other way round. So both must use the same allocator.

use std::cell::Cell;
use std::ptr;

/// Gives memory to the stack.
pub trait Memory {
    /// Returns a pointer to at least `bytes` bytes, and their number. Nobody else uses them, they
    /// lie above all memory that was returned before, and they are aligned to `ALIGN`. Returns none
    /// if there is no memory.
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)>;
}

/// The alignment of every block, unless the caller asks for more. Also the size of the number
/// before a block that holds its size.
const ALIGN: usize = 8;

/// The bit that marks a block as free, in the number before the block. Sizes are multiples of
/// `ALIGN`.
const FREE: usize = 1;

/// How far the top rises before the stack checks whether to coalesce.
const STEP: usize = 1024 * 1024;

/// How many lists of gaps there are. Each power of two has two classes of sizes. The last class
/// holds all larger gaps too.
const CLASSES: usize = 64;

/// How many gaps of its own class an allocation tries. Every gap of a higher class is long enough.
const TRIES: usize = 8;

/// A stack of blocks, for one thread.
pub struct Stack<M> {
    memory: M,
    /// The beginning of the newest piece of memory.
    bottom: Cell<*mut u8>,
    /// The end of its blocks.
    top: Cell<*mut u8>,
    /// The address up to which the top may rise before anything else is tried.
    limit: Cell<*mut u8>,
    /// The end of the newest piece of memory.
    end: Cell<*mut u8>,
    /// How many blocks are in use, in this piece and in older pieces.
    live: Cell<usize>,
    /// How many bytes below the top were freed since gaps were last coalesced.
    marked: Cell<usize>,
    /// The first gap of each class. Each gap begins with a pointer to the next gap.
    gaps: [Cell<*mut u8>; CLASSES],
    /// One bit for each class that has a gap. The pointers of other classes in `gaps` are outdated.
    classes: Cell<u64>,
}

// SAFETY: it is used only in a component. The target has one thread, because it is built without
// the atomics that a second thread would need.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<M> Sync for Stack<M> {}

// A block is `ALIGN` bytes that begin with its size, and then as many bytes as the size says.
// Between the bottom and the top there are only blocks. Each begins where the one before ends, so
// no two overlap. Some are live, the others are marked as free. Every change keeps this:
//
// - Allocating on top appends a block. If the alignment leaves space, it appends a free block
//   before it.
// - Cutting a block turns it into several blocks that fill the same space.
// - Coalescing joins free blocks, or drops them from the top.
// - Freeing marks a block, or drops the block that ends at the top. If no block is live, it drops
//   all.
// - Resizing cuts a block, or moves the end of the last block together with the top.
// - New memory moves the end, or begins a new piece above it. The old piece stays as it is, and is
//   not coalesced any more. Its blocks can still be freed, which marks them. Its gaps can be used
//   until the next coalescing forgets them. Its blocks end below the new bottom, so none of them is
//   taken for the last block.
//
// A gap is a free block in a list, once, and begins with a pointer to the next gap. It leaves the
// list before it is used. Only coalescing joins it to others: it first empties the lists, and then
// lists each block that it leaves free. A gap is dropped only by coalescing, or when no block is
// live, which also empties the lists. The blocks that `free` and `resize` take from the top are
// live.
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

    /// Returns a block of at least `size` bytes. `align` is a power of two and at least `ALIGN`.
    /// Returns null if there is no memory.
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

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// `block` came from this stack, and was not freed since.
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
            // SAFETY: it was live, and nobody uses it now.
            unsafe { self.mark(block, size) };
        }
    }

    /// Makes a block longer or shorter, and moves it if necessary. Returns null if there is no
    /// memory; then the block is unchanged.
    ///
    /// # Safety
    ///
    /// `block` came from this stack, and was not freed since.
    pub unsafe fn resize(&self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the block is live.
        let old = unsafe { header(block).read() };
        let Some(size) = size.checked_next_multiple_of(ALIGN) else {
            return ptr::null_mut();
        };
        let is_last = block.wrapping_add(old) == self.top.get();
        if is_last && size.saturating_sub(old) <= self.left() {
            // SAFETY: the number before the block belongs to it.
            unsafe { header(block).write(size) };
            self.move_top(block.wrapping_add(size));
            return block;
        }
        if size <= old {
            // SAFETY: the block is live, and at least this long.
            if let Some((rest, size)) = unsafe { cut(block, size) } {
                // SAFETY: it is the end of a block, and the owner of the block gives it up.
                unsafe { self.mark(rest, size) };
            }
            return block;
        }
        let new = self.allocate(size, ALIGN);
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the old one, and the new one overlaps no
            // live block. The old block is freed once.
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
        // SAFETY: these bytes were between the top and the limit. The space is a multiple of
        // `ALIGN`, because the alignment is.
        unsafe {
            if space > 0 {
                self.mark(first, space - ALIGN);
            }
            header(block).write(size);
        }
        Some(block)
    }

    /// Finds memory for a block that does not fit below the limit.
    #[cold]
    #[inline(never)]
    fn find(&self, size: usize, align: usize) -> Option<*mut u8> {
        // Enough for any alignment, with the number before the block.
        let most = size.checked_add(align)?;
        loop {
            if let Some(gap) = self.take_gap(most - ALIGN) {
                let space = gap.addr().wrapping_neg() & (align - 1);
                let block = gap.wrapping_add(space);
                // SAFETY: nobody uses the gap, and it is long enough for the space and the block.
                // The space is a multiple of `ALIGN`.
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

    /// Joins adjacent free blocks, drops them from the top, and lists the others as gaps.
    fn coalesce(&self) {
        self.classes.set(0);
        self.marked.set(0);
        let mut free: Option<*mut u8> = None;
        let mut block = self.bottom.get().wrapping_add(ALIGN);
        let first_above = self.top.get().wrapping_add(ALIGN);
        while block < first_above {
            // SAFETY: there are only blocks from the bottom to the top. The listed range is several
            // blocks, all free.
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

    /// Marks a block as free. The next coalescing finds it.
    ///
    /// # Safety
    ///
    /// Nobody uses these bytes and `ALIGN` bytes before them.
    unsafe fn mark(&self, block: *mut u8, size: usize) {
        // SAFETY: the caller guarantees it.
        unsafe { header(block).write(size | FREE) };
        self.marked.set(self.marked.get() + ALIGN + size);
    }

    /// Marks a block as free, and lists it as a gap if it is long enough.
    ///
    /// # Safety
    ///
    /// Nobody uses these bytes and `ALIGN` bytes before them, and they are not in a list.
    unsafe fn list(&self, block: *mut u8, size: usize) {
        // SAFETY: the caller guarantees it.
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
        // SAFETY: a size is a multiple of `ALIGN`, and a pointer fits into `ALIGN` bytes.
        unsafe { block.cast::<*mut u8>().write(next) };
        first.set(block);
        self.classes.set(classes | 1 << class);
    }

    /// Removes a gap of at least this size from its list and returns it.
    fn take_gap(&self, size: usize) -> Option<*mut u8> {
        let least = class(size);
        let mut classes = self.classes.get() >> least << least;
        while classes != 0 {
            let class = classes.trailing_zeros() as usize;
            let first = self.gaps.get(class)?;
            let mut link = first.as_ptr();
            for _ in 0..TRIES {
                // SAFETY: a link points to a gap or is null, and a gap begins with a link.
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

    /// How far the top may still rise, in bytes.
    fn left(&self) -> usize {
        self.limit.get().addr() - self.top.get().addr()
    }

    /// Moves the limit to at least `needed` bytes above the top. New memory may move the top
    /// elsewhere. Returns false if there is no memory.
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

/// The address of the size of a block.
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

/// Shortens a block to `size`, and returns the rest of it.
///
/// # Safety
///
/// Nobody else uses the block, and it is at least this long.
unsafe fn cut(block: *mut u8, size: usize) -> Option<(*mut u8, usize)> {
    // SAFETY: the caller guarantees it.
    unsafe {
        let rest = header(block).read() - size;
        header(block).write(size);
        // Both sizes are multiples of `ALIGN`.
        (rest > 0).then(|| (block.wrapping_add(size + ALIGN), rest - ALIGN))
    }
}

/// The functions that wasi-libc and Rust's standard library call, in place of wasi-libc's own.
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
            // More than one page at a time, because each call goes to the host.
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
    /// As in C: `block` can be written to.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(block: *mut *mut u8, align: usize, size: usize) -> i32 {
        const ENOMEM: i32 = 48;
        let new = STACK.allocate(size, align.max(ALIGN));
        if new.is_null() {
            return ENOMEM;
        }
        // SAFETY: the caller guarantees it.
        unsafe { block.write(new) };
        0
    }

    /// # Safety
    ///
    /// As in C: `block` is null, or came from here and was not freed.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            STACK.allocate(size, ALIGN)
        } else {
            // SAFETY: the caller guarantees that the block is live.
            unsafe { STACK.resize(block, size) }
        }
    }

    /// # Safety
    ///
    /// As in C: `block` is null, or came from here and was not freed.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(block: *mut u8) {
        if !block.is_null() {
            // SAFETY: the caller guarantees that the block is live.
            unsafe { STACK.free(block) };
        }
    }
}

#[cfg(test)]
mod tests;
