use std::collections::BTreeMap;

use super::*;

/// A memory of numbered addresses: pages up to a limit, and the links written into it.
struct Fake {
    end: usize,
    limit: usize,
    grown: usize,
    links: BTreeMap<usize, usize>,
}

impl Fake {
    /// Ends at `end` and may grow to `limit`.
    fn new(end: usize, limit: usize) -> Self {
        Self { end, limit, grown: 0, links: BTreeMap::new() }
    }
}

impl Memory for Fake {
    fn grow(&mut self, pages: usize) -> Option<usize> {
        let start = self.end;
        let end = pages.checked_mul(PAGE_BYTES).and_then(|bytes| start.checked_add(bytes))?;
        if end > self.limit {
            return None;
        }
        self.grown += 1;
        self.end = end;
        Some(start)
    }

    fn end(&self) -> usize {
        self.end
    }

    unsafe fn link(&self, address: usize) -> usize {
        self.links[&address]
    }

    unsafe fn set_link(&mut self, address: usize, next: usize) {
        self.links.insert(address, next);
    }
}

/// SplitMix64, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }

    /// Small ones mostly, as programs do.
    fn size(&mut self) -> usize {
        let magnitude = [16, 64, 256, 4_096, 100_000][self.below(5)];
        1 + self.below(magnitude)
    }
}

const MIB: usize = 1 << 20;

/// A first region of 128 KiB below the end of a 2 MiB memory, as in a component.
fn started(limit: usize) -> (Arena, Fake) {
    let mut arena = Arena::new();
    arena.begin(MIB, MIB + 128 * 1024);
    (arena, Fake::new(2 * MIB, limit))
}

/// Blocks in use, by address; claims that no two share a byte.
#[derive(Default)]
struct InUse(BTreeMap<usize, usize>);

impl InUse {
    fn add(&mut self, block: usize, size: usize) {
        assert!(block != 0 && block.is_multiple_of(UNIT));
        if let Some((&below, &bytes)) = self.0.range(..=block).next_back() {
            assert!(below + bytes <= block, "{block:#x} begins in {below:#x}+{bytes}");
        }
        if let Some((&above, _)) = self.0.range(block..).next() {
            assert!(block + size <= above, "{block:#x}+{size} reaches into {above:#x}");
        }
        self.0.insert(block, size);
    }
}

#[test]
fn random_use_never_overlaps_and_stays_bounded() {
    for seed in 0..20 {
        let (mut arena, mut memory) = started(usize::MAX);
        let (mut random, mut in_use) = (Random(seed), InUse::default());
        let mut after_warm_up = 0;
        for step in 0..40_000 {
            let nth = random.below(in_use.0.len().max(1));
            let chosen = in_use.0.iter().nth(nth).map(|(&block, &size)| (block, size));
            match (random.below(4), chosen) {
                (0, Some((block, old))) => {
                    let new = random.size();
                    if arena.resize(&mut memory, block, old, new) {
                        in_use.0.remove(&block);
                        in_use.add(block, new);
                    }
                }
                (1, Some((block, size))) => {
                    in_use.0.remove(&block);
                    arena.give(&mut memory, block, size);
                }
                _ if in_use.0.len() < 60 => {
                    let size = random.size();
                    in_use.add(arena.take(&mut memory, size).unwrap(), size);
                }
                _ => {}
            }
            let (&block, &size) = in_use.0.last_key_value().unwrap_or((&0, &0));
            assert!(block + size <= memory.end, "seed {seed}");
            if step == 20_000 {
                after_warm_up = memory.end;
            }
        }
        // The same load for as long again may still raise a class's peak, but not by much.
        assert!(memory.end <= after_warm_up + 4 * MIB, "seed {seed}: {after_warm_up} then {}", memory.end);
    }
}

#[test]
fn what_is_freed_is_used_again_for_ever() {
    let (mut arena, mut memory) = started(usize::MAX);
    let mut end_of_round = Vec::new();
    for _ in 0..50 {
        let mut random = Random(1);
        let sizes: Vec<_> = (0..500).map(|_| random.size()).collect();
        let blocks: Vec<_> = sizes.iter().map(|&size| arena.take(&mut memory, size).unwrap()).collect();
        // First in, first out: no block is the last one when it goes.
        for (block, size) in blocks.into_iter().zip(sizes) {
            arena.give(&mut memory, block, size);
        }
        end_of_round.push(memory.end);
    }
    assert_eq!(end_of_round[1], end_of_round[49]);
}

#[test]
fn small_events_never_grow_the_memory() {
    let (mut arena, mut memory) = started(usize::MAX);
    for _ in 0..1_000 {
        let blocks: Vec<_> = (1..40).map(|n| (arena.take(&mut memory, n * 20).unwrap(), n * 20)).collect();
        for (block, size) in blocks {
            arena.give(&mut memory, block, size);
        }
    }
    assert_eq!(memory.grown, 0);
}

#[test]
fn the_last_block_changes_in_place() {
    let (mut arena, mut memory) = started(usize::MAX);
    let first = arena.take(&mut memory, 100).unwrap();
    let last = arena.take(&mut memory, 100).unwrap();
    assert!(!arena.resize(&mut memory, first, 100, 200), "not the last");
    assert!(arena.resize(&mut memory, first, 100, 112), "the same class");
    assert!(arena.resize(&mut memory, last, 100, 90_000));
    assert!(arena.resize(&mut memory, last, 90_000, 10));
    assert_eq!(arena.bump, last + 16);
    arena.give(&mut memory, last, 10);
    assert_eq!(arena.take(&mut memory, 50_000).unwrap(), last);
    assert_eq!(memory.grown, 0);
}

#[test]
fn the_last_block_grows_with_the_memory() {
    let (mut arena, mut memory) = (Arena::new(), Fake::new(PAGE_BYTES, usize::MAX));
    let block = arena.take(&mut memory, 1_000).unwrap();
    for size in [10_000, 100_000, 1_000_000, 10_000_000] {
        assert!(arena.resize(&mut memory, block, size / 10, size), "{size}");
    }
    assert!(memory.end < PAGE_BYTES + 13_000_000);
}

#[test]
fn a_region_left_behind_is_not_lost() {
    let (mut arena, mut memory) = started(usize::MAX);
    let large = arena.take(&mut memory, MIB).unwrap();
    assert_eq!(large, 2 * MIB, "in a new region");
    // 128 KiB is a class of its own.
    assert_eq!(arena.take(&mut memory, 128 * 1024).unwrap(), MIB, "the first region, whole");
}

#[test]
fn large_alignments_are_kept_and_their_blocks_used_again() {
    let (mut arena, mut memory) = started(usize::MAX);
    let mut end_of_round = Vec::new();
    for _ in 0..20 {
        let mut in_use = InUse::default();
        let mut given = Vec::new();
        for align in [1, 8, 16, 32, 64, 4_096, PAGE_BYTES, MIB].repeat(5) {
            let block = arena.take_aligned(&mut memory, 100, align).unwrap();
            assert!(block.is_multiple_of(align), "{block:#x} at {align}");
            in_use.add(block, 100);
            given.push((block, align));
        }
        for (block, align) in given {
            // SAFETY: taken above for the same size and alignment.
            unsafe { arena.give_aligned(&mut memory, block, 100, align) };
        }
        end_of_round.push(memory.end);
    }
    assert_eq!(end_of_round[1], end_of_round[19]);
    assert_eq!(arena.take_aligned(&mut memory, 8, 1 << 31), None, "no class holds it");
    assert_eq!(arena.take_aligned(&mut memory, usize::MAX, 32), None);
}

#[test]
fn too_much_is_none_and_leaves_the_arena_sound() {
    let (mut arena, mut memory) = started(2 * MIB);
    for size in [usize::MAX, isize::MAX as usize, (1 << 31) + 1, 1 << 31, 200_000] {
        assert_eq!(arena.take(&mut memory, size), None, "{size}");
    }
    let block = arena.take(&mut memory, 100).unwrap();
    assert!(!arena.resize(&mut memory, block, 100, 1 << 30));
    assert!(!arena.resize(&mut memory, block, 100, usize::MAX));
    assert!(arena.resize(&mut memory, block, 100, 120_000), "there is room for that");
    assert_eq!(memory.grown, 0);
}

#[test]
fn a_step_in_advance_gives_way_to_the_limit() {
    let (mut arena, mut memory) = (Arena::new(), Fake::new(PAGE_BYTES, 12 * PAGE_BYTES));
    let taken = std::iter::from_fn(|| arena.take(&mut memory, PAGE_BYTES)).count();
    assert_eq!(taken, 11, "every page there is");
}

#[test]
fn the_end_of_the_address_space_is_no_block() {
    let last_page = usize::MAX - (PAGE_BYTES - 1);
    struct Full(bool);
    impl Memory for Full {
        fn grow(&mut self, _: usize) -> Option<usize> {
            (!std::mem::replace(&mut self.0, true)).then_some(usize::MAX - (PAGE_BYTES - 1))
        }
        fn end(&self) -> usize {
            0
        }
        unsafe fn link(&self, _: usize) -> usize {
            0
        }
        unsafe fn set_link(&mut self, _: usize, _: usize) {}
    }
    let mut arena = Arena::new();
    assert_eq!(arena.take(&mut Full(false), 1_000), Some(last_page));
    assert_eq!(arena.take(&mut Full(true), PAGE_BYTES), None);
}
