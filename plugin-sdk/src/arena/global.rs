//! The arena as the global allocator of a component.
//!
//! The canonical ABI's `cabi_realloc` comes from std on this target and uses the global allocator, so what the engine
//! passes in lands in the arena as well. The C library keeps its own allocator for its own use; both take from
//! `memory.grow`, and neither assumes that what it gets is contiguous.
//!
//! One thing would break this: a non-empty list that the C library imports (environment, arguments, preopened folders)
//! lands in the arena and is freed by the C library. The engine grants none of these, so such lists are empty.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr;

use super::{Arena, Memory, PAGE_BYTES, UNIT};

/// Holds an event of tens of kilobytes with its decoded form and its outputs. Untouched pages of it cost nothing.
const FIRST_REGION_BYTES: usize = 128 * 1024;

#[global_allocator]
static GLOBAL: Global =
    Global { arena: UnsafeCell::new(None), first: UnsafeCell::new(Region([0; FIRST_REGION_BYTES])) };

/// Page-aligned, so that a small event touches no page more than it fills.
#[repr(align(4096))]
struct Region(#[expect(dead_code, reason = "only its address is used")] [u8; FIRST_REGION_BYTES]);

struct Global {
    arena: UnsafeCell<Option<Arena>>,
    first: UnsafeCell<Region>,
}

// SAFETY: a component of this target has one thread, so there is nobody to share with.
unsafe impl Sync for Global {}

impl Global {
    /// The books, opened at the first use.
    ///
    /// # Safety
    /// No other reference to them is alive.
    #[expect(clippy::mut_from_ref, reason = "the cell's contract is the caller's: one thread, one reference")]
    unsafe fn arena(&self) -> &mut Arena {
        // SAFETY: one thread, and the caller holds no other reference.
        let slot = unsafe { &mut *self.arena.get() };
        slot.get_or_insert_with(|| {
            let start = self.first.get().expose_provenance();
            let mut arena = Arena::new();
            arena.begin(start, start + FIRST_REGION_BYTES);
            arena
        })
    }
}

/// The component's own memory.
struct Linear;

impl Memory for Linear {
    fn grow(&mut self, pages: usize) -> Option<usize> {
        let before = wasm32::memory_grow::<0>(pages);
        (before != usize::MAX).then(|| before * PAGE_BYTES)
    }

    fn end(&self) -> usize {
        wasm32::memory_size::<0>().wrapping_mul(PAGE_BYTES)
    }

    unsafe fn link(&self, address: usize) -> usize {
        // SAFETY: the caller says that a link is there; blocks are aligned to more than a word.
        unsafe { ptr::with_exposed_provenance::<usize>(address).read() }
    }

    unsafe fn set_link(&mut self, address: usize, next: usize) {
        // SAFETY: the caller says that nobody uses the block; blocks are aligned to more than a word.
        unsafe { ptr::with_exposed_provenance_mut::<usize>(address).write(next) }
    }
}

// SAFETY: `take` answers blocks that overlap no other block in use, aligned to UNIT and at least as large as asked
// for; larger alignments are cut out of a block that is larger by as much. Nothing here unwinds.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no reference outlives an allocator call, and calls do not nest.
        let arena = unsafe { self.arena() };
        let block = arena.take_aligned(&mut Linear, layout.size(), layout.align());
        block.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let arena = unsafe { self.arena() };
        // SAFETY: the caller hands back what `alloc` answered for the same layout.
        unsafe { arena.give_aligned(&mut Linear, block.expose_provenance(), layout.size(), layout.align()) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= UNIT {
            // SAFETY: as in `alloc`.
            let arena = unsafe { self.arena() };
            if arena.resize(&mut Linear, block.expose_provenance(), layout.size(), new_size) {
                return block;
            }
        }
        // SAFETY: the caller promises that `new_size` and this alignment make a layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller promises a size over zero.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: two blocks in use, each at least as large as what is copied; the old one is the caller's to give up.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}
