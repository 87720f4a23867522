use super::*;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::VecDeque;

/// Some of the system's memory, given out a little at a time. `hole` bytes are left out between
/// pieces.
struct Reserve {
    start: *mut u8,
    layout: Layout,
    given: Cell<usize>,
    hole: usize,
}

impl Memory for Reserve {
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
        let at = self.given.get() + self.hole;
        let bytes = bytes.max(1000);
        if bytes > self.layout.size().saturating_sub(at) {
            return None;
        }
        self.given.set(at + bytes);
        Some((self.start.wrapping_add(at), bytes))
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.start, self.layout) };
    }
}

fn stack(size: usize, hole: usize) -> Stack<Reserve> {
    let layout = Layout::from_size_align(size, 64).unwrap();
    Stack::new(Reserve {
        // SAFETY: the size is not zero.
        start: unsafe { alloc(layout) },
        layout,
        given: Cell::new(0),
        hole,
    })
}

fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}

/// A live block, filled with a byte of its own.
struct Block {
    start: *mut u8,
    size: usize,
    fill: u8,
}

impl Block {
    fn fill(&self) {
        // SAFETY: the block is live and has this size.
        unsafe { self.start.write_bytes(self.fill, self.size) };
    }

    fn check(&self, size: usize) {
        for at in 0..size {
            // SAFETY: within the block, which was filled.
            assert_eq!(unsafe { *self.start.add(at) }, self.fill);
        }
    }
}

/// Allocates, resizes and frees at random. Overlapping blocks and lost contents fail here; accesses
/// out of bounds fail under Miri.
fn use_at_random(stack: &Stack<Reserve>, seed: u64) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut random = random(seed);
    for round in 0..if cfg!(miri) { 300 } else { 3000 } {
        let size = random(300);
        // Mostly the newest block, as in a component.
        let at = match random(2) {
            0 => blocks.len().saturating_sub(1),
            _ => random(blocks.len().max(1)),
        };
        match random(6) {
            0 | 1 => {
                let align = ALIGN << random(4);
                let start = stack.allocate(size, align);
                assert!(start.addr().is_multiple_of(align));
                if !start.is_null() {
                    let fill = round as u8;
                    blocks.push(Block { start, size, fill });
                    blocks.last().unwrap().fill();
                }
            }
            2 if !blocks.is_empty() => {
                let block = &mut blocks[at];
                // SAFETY: the block is live.
                let start = unsafe { stack.resize(block.start, size) };
                if start.is_null() {
                    block.check(block.size);
                } else {
                    block.start = start;
                    block.check(size.min(block.size));
                    block.size = size;
                    block.fill();
                }
            }
            3 | 4 if !blocks.is_empty() => {
                let block = blocks.remove(at);
                block.check(block.size);
                // SAFETY: the block is live.
                unsafe { stack.free(block.start) };
            }
            _ => {}
        }
    }
    for block in blocks {
        block.check(block.size);
        // SAFETY: the block is live.
        unsafe { stack.free(block.start) };
    }
}

#[test]
fn no_block_overlaps_another() {
    for seed in 0..if cfg!(miri) { 3 } else { 100 } {
        use_at_random(&stack(1 << 20, 0), seed);
    }
}

#[test]
fn no_block_overlaps_another_where_memory_is_in_pieces() {
    for seed in 0..if cfg!(miri) { 3 } else { 100 } {
        use_at_random(&stack(1 << 20, 64), seed);
    }
}

#[test]
fn no_block_overlaps_another_where_memory_runs_out() {
    for seed in 0..if cfg!(miri) { 3 } else { 100 } {
        use_at_random(&stack(5000, 0), seed);
        use_at_random(&stack(5000, 64), seed);
    }
}

#[test]
fn everything_is_there_again_when_all_is_freed() {
    let stack = stack(100_000, 0);
    for seed in 0..if cfg!(miri) { 3 } else { 100 } {
        use_at_random(&stack, seed);
        let (before, given) = (stack.bottom.get(), stack.memory.given.get());
        let all = stack.allocate(given - ALIGN, ALIGN);
        assert_eq!(all, before.wrapping_add(ALIGN));
        assert_eq!(stack.memory.given.get(), given);
        // SAFETY: the block is live.
        unsafe { stack.free(all) };
    }
}

/// Enough rounds to run out of memory if anything is lost; few under Miri, which checks each step.
const ROUNDS: usize = if cfg!(miri) { 200 } else { 100_000 };

const KIB: usize = 1024;

/// A stack with more memory than it should need. One block on it is never freed.
fn never_empty() -> Stack<Reserve> {
    let stack = stack(32 * 1024 * KIB, 0);
    assert!(!stack.allocate(100, ALIGN).is_null());
    stack
}

/// The most memory that a stack may take for less than 1 MiB of blocks, and 3 MiB for a moment.
fn check_bounded(stack: &Stack<Reserve>) {
    assert!(stack.memory.given.get() <= 8 * 1024 * KIB);
}

/// Allocates a block, which must succeed.
fn allocate(stack: &Stack<Reserve>, size: usize) -> *mut u8 {
    let block = stack.allocate(size, ALIGN);
    assert!(!block.is_null(), "{size} bytes");
    block
}

#[test]
fn memory_is_bounded_when_the_next_comes_before_the_last_goes() {
    let stack = never_empty();
    let mut random = random(1);
    let mut last = allocate(&stack, 1);
    for _ in 0..ROUNDS {
        let next = allocate(&stack, random(512 * KIB));
        // SAFETY: the block is live.
        unsafe { stack.free(last) };
        last = next;
    }
    check_bounded(&stack);
}

#[test]
fn memory_is_bounded_when_the_first_to_come_is_the_first_to_go() {
    let stack = never_empty();
    let mut random = random(2);
    let mut blocks = VecDeque::new();
    for _ in 0..ROUNDS {
        // Many small blocks, and sometimes a large one.
        let size = random(8 * KIB) + 64 * KIB * (random(100) / 99);
        blocks.push_back(allocate(&stack, size));
        if blocks.len() > 200 {
            // SAFETY: the block is live.
            unsafe { stack.free(blocks.pop_front().unwrap()) };
        }
    }
    check_bounded(&stack);
}

#[test]
fn memory_is_bounded_when_two_that_alternate_last_differently() {
    let stack = never_empty();
    let mut random = random(3);
    let mut long = VecDeque::new();
    let mut short = allocate(&stack, 1);
    for _ in 0..ROUNDS {
        let next = allocate(&stack, random(256 * KIB));
        long.push_back(allocate(&stack, random(2 * KIB)));
        // SAFETY: the blocks are live.
        unsafe {
            stack.free(short);
            if long.len() > 300 {
                stack.free(long.pop_front().unwrap());
            }
        }
        short = next;
    }
    check_bounded(&stack);
}

#[test]
fn memory_is_bounded_when_a_block_grows_while_others_come_and_go() {
    let stack = never_empty();
    let mut random = random(4);
    let mut others = VecDeque::new();
    let (mut growing, mut size) = (allocate(&stack, 64), 64);
    for _ in 0..ROUNDS {
        others.push_back(allocate(&stack, random(20 * KIB)));
        // SAFETY: the blocks are live.
        unsafe {
            if others.len() > 5 {
                stack.free(others.pop_front().unwrap());
            }
            size *= 2;
            growing = stack.resize(growing, size);
            assert!(!growing.is_null());
            if size > 256 * KIB {
                stack.free(growing);
                (growing, size) = (allocate(&stack, 64), 64);
            }
        }
    }
    check_bounded(&stack);
}

#[test]
fn memory_is_bounded_when_blocks_shrink() {
    let stack = never_empty();
    for _ in 0..ROUNDS {
        let block = allocate(&stack, 256 * KIB);
        let above = allocate(&stack, 100);
        // SAFETY: the blocks are live.
        unsafe {
            for part in (0..8).rev() {
                stack.resize(block, part * 32 * KIB);
            }
            stack.free(block);
            stack.free(above);
        }
    }
    check_bounded(&stack);
}

#[test]
fn a_look_whether_there_is_memory_takes_none() {
    let stack = never_empty();
    let mut last = allocate(&stack, 1);
    for _ in 0..ROUNDS {
        let next = allocate(&stack, 300 * KIB);
        let look = allocate(&stack, 3000 * KIB);
        // SAFETY: the blocks are live.
        unsafe {
            stack.free(look);
            stack.free(last);
        }
        last = next;
    }
    check_bounded(&stack);
}

#[test]
fn what_cannot_be_had_is_null_and_costs_nothing() {
    let stack = stack(1000, 0);
    let block = stack.allocate(100, ALIGN);
    // SAFETY: the block is live, and freed once.
    unsafe {
        block.write_bytes(7, 100);
        for size in [5000, usize::MAX - 100, usize::MAX] {
            assert!(stack.allocate(size, ALIGN).is_null());
            assert!(stack.resize(block, size).is_null());
        }
        assert_eq!(*block.add(99), 7);
        assert!(!stack.resize(block, 1000 - ALIGN).is_null());
        stack.free(block);
    }
}
