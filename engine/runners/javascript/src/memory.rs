//! One allocator for both languages: Rust's part takes its memory from the C library that QuickJS brings.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
}

/// What malloc aligns to by itself.
const ALIGNMENT: usize = 16;

struct Libc;

// SAFETY: the C library keeps the contract of an allocator; alignments above its own go through `aligned_alloc`.
unsafe impl GlobalAlloc for Libc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no precondition; a null answer is what the caller expects on failure.
        unsafe {
            if layout.align() <= ALIGNMENT {
                malloc(layout.size()).cast()
            } else {
                aligned_alloc(layout.align(), layout.size().next_multiple_of(layout.align())).cast()
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the pointer came from one of the functions above.
        unsafe { free(pointer.cast()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            // SAFETY: the pointer came from malloc or realloc.
            return unsafe { realloc(pointer.cast(), size).cast() };
        }
        // SAFETY: the new block is as large as the smaller of the two, and the old one is no longer used.
        unsafe {
            let fresh = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !fresh.is_null() {
                fresh.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            fresh
        }
    }
}

#[global_allocator]
static GLOBAL: Libc = Libc;
