//! Size classes: 16, 32, 48, 64, then four to each power of two (80, 96, 112, 128, 160, 192, ...).

use super::UNIT;

/// Up to this size, classes are one unit apart; so it has four of them.
const LINEAR_MAX: usize = 4 * UNIT;
/// Powers of two above [`LINEAR_MAX`], up to 2 GiB: no more fits beside a stack into 4 GiB.
const DOUBLINGS: usize = 25;
/// How many classes there are.
pub const CLASSES: usize = 4 + 4 * DOUBLINGS;
/// The largest class.
const MAX_BYTES: usize = LINEAR_MAX << DOUBLINGS;

/// One size of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    index: usize,
    bytes: usize,
}

impl Class {
    /// The smallest class that holds `size` bytes.
    pub fn of(size: usize) -> Option<Self> {
        if size <= LINEAR_MAX {
            let index = size.max(1).div_ceil(UNIT) - 1;
            return Some(Self { index, bytes: (index + 1) * UNIT });
        }
        if size > MAX_BYTES {
            return None;
        }
        // `size - 1` lies in [base, 2 * base), which four classes share.
        let doubling = (size - 1).ilog2() - LINEAR_MAX.ilog2();
        let base = LINEAR_MAX << doubling;
        let quarter = base / 4;
        let part = (size - base).div_ceil(quarter);
        Some(Self { index: 3 + 4 * doubling as usize + part, bytes: base + part * quarter })
    }

    /// The largest class that fits into `size` bytes.
    pub fn within(size: usize) -> Option<Self> {
        if size < UNIT {
            return None;
        }
        let above = Self::of(size.min(MAX_BYTES))?;
        if above.bytes <= size {
            return Some(above);
        }
        // The class below ends where the lowest size of this one begins.
        let gap = if above.bytes <= LINEAR_MAX { UNIT } else { 1 << ((size - 1).ilog2() - 2) };
        Self::of(above.bytes - gap)
    }

    /// Its place in the table of free lists.
    pub fn index(self) -> usize {
        self.index
    }

    /// The bytes of its blocks.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_rise_without_gaps_and_hold_what_they_promise() {
        let mut last = Class { index: 0, bytes: 16 };
        for size in 1..200_000 {
            let class = Class::of(size).unwrap();
            assert!(class.bytes >= size && class.bytes.is_multiple_of(UNIT), "{size}: {class:?}");
            assert!(class.bytes - size < UNIT.max(size / 4 + 1), "{size}: {class:?}");
            assert!(
                class == last || (class.index == last.index + 1 && last.bytes + 1 == size),
                "{size}: {class:?}"
            );
            last = class;
        }
    }

    #[test]
    fn the_largest_class_is_the_last() {
        assert_eq!(Class::of(MAX_BYTES).unwrap(), Class { index: CLASSES - 1, bytes: 1 << 31 });
        assert_eq!(Class::of(MAX_BYTES + 1), None);
        assert_eq!(Class::of(usize::MAX), None);
        assert_eq!(Class::of(0), Class::of(16));
    }

    #[test]
    fn within_is_the_largest_that_fits() {
        assert_eq!(Class::within(15), None);
        for size in 16..70_000 {
            let class = Class::within(size).unwrap();
            assert!(class.bytes <= size, "{size}: {class:?}");
            assert_eq!(Class::of(class.bytes).unwrap(), class, "{size}");
            assert!(Class::of(class.bytes + 1).unwrap().bytes > size, "{size}: {class:?}");
        }
    }
}
