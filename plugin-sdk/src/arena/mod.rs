//! The component's global allocator.
//!
//! A fresh instance per event pays for every page that it touches, so this one keeps blocks dense: it bumps through a
//! region, without headers, and returns freed blocks through one free list per size class. Nothing is merged, so a
//! long-lived instance holds at most the sum over the classes of the most bytes that each ever had in use, plus
//! rounding: bounded by what the guest really needed, never by how long it runs.
//!
//! - Size classes: four per power of two, so rounding wastes at most a quarter.
//! - The last block before the bump grows, shrinks and goes in place, which is what a growing `Vec` does.
//! - The first region lies in the module's zeroed data (`global.rs`): small events never call `memory.grow`.
//!
//! All arithmetic is on addresses; only links of free lists are read and written, through [`Memory`]. So the same code
//! runs natively over an array in the tests.
#![expect(unsafe_code, reason = "links live in blocks that nobody uses, and global.rs hands out raw memory")]

mod class;
#[cfg(all(target_arch = "wasm32", feature = "arena-allocator"))]
mod global;
#[cfg(test)]
mod tests;

use class::{CLASSES, Class};

/// Every block begins at a multiple of it, and is at least as large: what the largest scalar of Wasm (`v128`) wants.
const UNIT: usize = 16;
/// The unit of `memory.grow`.
const PAGE_BYTES: usize = 65_536;
/// Growth in advance doubles up to this: few calls for a large event, little waste under a tight memory limit.
const STEP_MAX_PAGES: usize = 16;

/// A linear memory.
trait Memory {
    /// Adds pages and answers the address of the first, or `None` if there are no more.
    fn grow(&mut self, pages: usize) -> Option<usize>;

    /// The address behind the last byte.
    fn end(&self) -> usize;

    /// Reads the link in a free block.
    ///
    /// # Safety
    /// A link was written to this address, and its block has not been handed out since.
    unsafe fn link(&self, address: usize) -> usize;

    /// Writes the link of a free block.
    ///
    /// # Safety
    /// The address is that of a block of at least [`UNIT`] bytes that nobody uses.
    unsafe fn set_link(&mut self, address: usize, next: usize);
}

/// The allocator's books. Address 0 stands for none: nothing is ever allocated there.
struct Arena {
    /// The first free block of each class.
    free: [usize; CLASSES],
    /// Where the next new block begins.
    bump: usize,
    /// Where the region ends that `bump` goes through.
    end: usize,
    /// How many pages the next growth takes at least.
    step_pages: usize,
}

impl Arena {
    const fn new() -> Self {
        Self { free: [0; CLASSES], bump: 0, end: 0, step_pages: 1 }
    }

    /// Hands over a first region; its bounds are multiples of [`UNIT`].
    fn begin(&mut self, start: usize, end: usize) {
        self.bump = start;
        self.end = end;
    }

    /// A block for `size` bytes, at a multiple of [`UNIT`].
    fn take(&mut self, memory: &mut impl Memory, size: usize) -> Option<usize> {
        let class = Class::of(size)?;
        let head = self.free.get_mut(class.index())?;
        if *head != 0 {
            let block = *head;
            // SAFETY: the list holds blocks that `give` linked and nobody took since.
            *head = unsafe { memory.link(block) };
            return Some(block);
        }
        let bytes = class.bytes();
        if bytes > self.room() {
            self.extend(memory, bytes)?;
        }
        let block = self.bump;
        self.bump += bytes;
        Some(block)
    }

    /// Takes back a block that `take` answered for the same `size`.
    fn give(&mut self, memory: &mut impl Memory, block: usize, size: usize) {
        let Some(class) = Class::of(size) else { return };
        if block + class.bytes() == self.bump {
            self.bump = block;
        } else {
            self.put(memory, block, class);
        }
    }

    /// A block for `size` bytes at a multiple of `align`, a power of two. Above [`UNIT`] it is cut out of a block that is
    /// larger by as much, whose address stands in the unit before it.
    fn take_aligned(&mut self, memory: &mut impl Memory, size: usize, align: usize) -> Option<usize> {
        if align <= UNIT {
            return self.take(memory, size);
        }
        let whole = self.take(memory, size.checked_add(align)?)?;
        // At most `whole + align`: `whole` is a multiple of UNIT, and `align` a larger power of two.
        let block = (whole + UNIT).next_multiple_of(align);
        // SAFETY: the unit before `block` lies within the block just taken.
        unsafe { memory.set_link(block - UNIT, whole) };
        Some(block)
    }

    /// Takes back a block.
    ///
    /// # Safety
    /// `take_aligned` answered it for the same `size` and `align`.
    unsafe fn give_aligned(&mut self, memory: &mut impl Memory, block: usize, size: usize, align: usize) {
        if align <= UNIT {
            return self.give(memory, block, size);
        }
        // SAFETY: `take_aligned` wrote the whole block's address there.
        let whole = unsafe { memory.link(block - UNIT) };
        self.give(memory, whole, size + align);
    }

    /// Makes a block fit another size without moving it, if that can be.
    fn resize(&mut self, memory: &mut impl Memory, block: usize, old: usize, new: usize) -> bool {
        let (Some(from), Some(to)) = (Class::of(old), Class::of(new)) else { return false };
        if from.index() == to.index() {
            return true;
        }
        // A block in the middle keeps its class, or it would be given back to another one than it was cut for.
        if block + from.bytes() != self.bump {
            return false;
        }
        let more = to.bytes().saturating_sub(from.bytes());
        if more > self.room() && !self.widen(memory, more) {
            return false;
        }
        self.bump = block + to.bytes();
        true
    }

    fn room(&self) -> usize {
        self.end - self.bump
    }

    fn put(&mut self, memory: &mut impl Memory, block: usize, class: Class) {
        let Some(head) = self.free.get_mut(class.index()) else { return };
        // SAFETY: the caller gives the block up, and every class is at least one unit large.
        unsafe { memory.set_link(block, *head) };
        *head = block;
    }

    /// Makes room for `bytes`, here or in another region.
    fn extend(&mut self, memory: &mut impl Memory, bytes: usize) -> Option<()> {
        if self.widen(memory, bytes) {
            return Some(());
        }
        let (start, end) = self.grow(memory, bytes)?;
        self.shelve(memory);
        self.begin(start, end);
        Some(())
    }

    /// Makes room for `bytes` by growth, if the region is the last of the memory.
    fn widen(&mut self, memory: &mut impl Memory, bytes: usize) -> bool {
        if self.end == 0 || self.end != memory.end() {
            return false;
        }
        let Some((start, end)) = self.grow(memory, bytes - self.room()) else { return false };
        debug_assert_eq!(start, self.end, "memory grows at its end");
        self.end = end;
        true
    }

    /// Grows the memory by at least `bytes`, and by a step in advance where the limit allows it.
    fn grow(&mut self, memory: &mut impl Memory, bytes: usize) -> Option<(usize, usize)> {
        let needed = bytes.div_ceil(PAGE_BYTES);
        let wanted = needed.max(self.step_pages);
        let (start, pages) = match memory.grow(wanted) {
            Some(start) => (start, wanted),
            None if wanted > needed => (memory.grow(needed)?, needed),
            None => return None,
        };
        self.step_pages = (self.step_pages * 2).min(STEP_MAX_PAGES);
        // The last page of a full 4 GiB memory ends where no address is: leave its last unit out.
        let end = start.checked_add(pages * PAGE_BYTES).unwrap_or(usize::MAX - (UNIT - 1));
        (end - start >= bytes).then_some((start, end))
    }

    /// Puts what is left of the region into the free lists, largest block first.
    fn shelve(&mut self, memory: &mut impl Memory) {
        while let Some(class) = Class::within(self.room()) {
            let block = self.bump;
            self.bump += class.bytes();
            self.put(memory, block, class);
        }
    }
}
