//! Randomness seeded by the event: another delivery of the same event draws the same numbers.

/// The most bytes that one host call answers, as the contract has it.
const BYTES_PER_CALL: usize = 65_536;

/// The next 64 random bits.
#[must_use]
pub fn next() -> u64 {
    crate::host::random_next()
}

/// The next `length` random bytes.
#[must_use]
pub fn bytes(length: usize) -> Vec<u8> {
    let mut drawn = Vec::new();
    while drawn.len() < length {
        let part = (length - drawn.len()).min(BYTES_PER_CALL);
        // The cast holds: `part` is at most 65,536.
        #[expect(clippy::cast_possible_truncation, reason = "bounded one line up")]
        drawn.append(&mut crate::host::random_bytes(part as u32));
    }
    drawn
}
