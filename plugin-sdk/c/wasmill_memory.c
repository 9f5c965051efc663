/* The memory of one call: taken piece by piece, given back all at once when the engine has read the answer.
 *
 * A fresh instance per event pays for every page that it touches, so blocks lie densely behind each other. The first
 * region lies in the module's zeroed data, so that small events never grow the memory; further regions are kept from
 * call to call, so that an instance holds what its largest call needed and no more. */
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"

enum {
    /* What a small event needs, with room to spare; pages that are never touched cost nothing. */
    FIRST_BYTES = 64 * 1024,
    /* Growth in advance doubles what there is, up to this: few growths, little waste under a tight memory limit. */
    STEP_MAX_BYTES = 1024 * 1024,
    PAGE_BYTES = 64 * 1024,
};

/* A stretch of memory. All but the first begin with their own header. */
typedef struct region {
    struct region *next;
    char *begin;
    char *end;
} region;

static _Alignas(16) char first_memory[FIRST_BYTES];
static region first = {NULL, first_memory, first_memory + FIRST_BYTES};
/* Where blocks are taken at the moment; every region behind it is empty. */
static region *current = &first;
static char *bump = first_memory;
/* All that the regions hold. */
static size_t total = FIRST_BYTES;

void wasmill_reset(void) {
    current = &first;
    bump = first.begin;
}

static char *pages(size_t count) {
#ifdef __wasm__
    size_t index = __builtin_wasm_memory_grow(0, count);
    return index == SIZE_MAX ? NULL : (char *)(index * PAGE_BYTES);
#else
    return malloc(count * PAGE_BYTES);
#endif
}

/* Makes the last region longer where the memory grows at its end, else adds one behind it. */
static bool grow(size_t len, size_t align) {
    if (len > PTRDIFF_MAX) return false;
    size_t needed = (len + align + sizeof(region) + PAGE_BYTES - 1) / PAGE_BYTES;
    size_t count = (total < STEP_MAX_BYTES ? total : STEP_MAX_BYTES) / PAGE_BYTES;
    if (count < needed) count = needed;
    char *memory = pages(count);
    if (memory == NULL) memory = pages(count = needed);
    if (memory == NULL) return false;
    /* The end of a memory of 4 GiB is no address. */
    if ((uintptr_t)memory + count * PAGE_BYTES < (uintptr_t)memory) return false;
    total += count * PAGE_BYTES;
    if (memory == current->end) {
        current->end += count * PAGE_BYTES;
    } else {
        region *added = (region *)memory;
        *added = (region){NULL, memory + sizeof(region), memory + count * PAGE_BYTES};
        current->next = added;
    }
    return true;
}

static void *take(size_t len, size_t align) {
    for (;;) {
        size_t gap = -(uintptr_t)bump & (align - 1);
        size_t room = (size_t)(current->end - bump);
        if (gap <= room && len <= room - gap) {
            char *block = bump + gap;
            bump = block + len;
            return block;
        }
        if (current->next != NULL) {
            current = current->next;
            bump = current->begin;
        } else if (!grow(len, align)) {
            wasmill_panic("out of memory");
        }
    }
}

void *wasmill_realloc(void *old, size_t old_len, size_t align, size_t len) {
    if (old_len != 0) {
        char *begin = old;
        if (begin + old_len == bump && len <= (size_t)(current->end - begin)) {
            bump = begin + len;
            return old;
        }
        if (len <= old_len) return old;
    }
    char *block = take(len, align);
    if (old_len != 0) memcpy(block, old, old_len < len ? old_len : len);
    return block;
}

void *wasmill_alloc(size_t size) {
    return wasmill_realloc(NULL, 0, 8, size);
}
