//! How many different members: exact while few, then HyperLogLog.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Aggregate;

/// The most members that are counted exactly: their hashes then fill 2 KiB, half of what the registers take.
const EXACT: usize = 256;
/// The leading bits of a hash that choose its register.
const INDEX_BITS: u32 = 12;
/// 2^12 registers: a standard error of 1.04 / sqrt(4096) = 1.6 %.
const REGISTERS: usize = 1 << INDEX_BITS;
/// The bits of a hash that are left for the rank.
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;
/// The digits of registers and hashes: base64 as in RFC 4648, six bits a character.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The characters of one hash.
const HASH_DIGITS: usize = 11;

/// How many different members there were. Exact up to 256; past that HyperLogLog (Flajolet et al. 2007) with 4,096
/// registers and the estimator of Ertl ("New cardinality estimation algorithms for `HyperLogLog` sketches", 2017), whose
/// standard error is 1.6 % at any count. What is kept depends on the set of members only, not on their order.
///
/// JSON: `{"h": hashes}` while exact, 11 base64 digits for each in ascending order; then `{"r": registers}`, one digit
/// for each register. A hash is FNV-1a of 64 bits, mixed by the finalizer of `MurmurHash3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinct(Members);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Members {
    /// Sorted.
    Hashes(Vec<u64>),
    /// For each register the highest rank seen, 0..=53.
    Registers(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(Members::Hashes(Vec::new()))
    }
}

impl Distinct {
    /// Adds a member: a string, or any bytes.
    pub fn add(&mut self, member: impl AsRef<[u8]>) {
        self.insert(hash(member.as_ref()));
    }

    /// How many different members there were, or the estimate of it.
    #[must_use]
    pub fn get(&self) -> u64 {
        match &self.0 {
            Members::Hashes(hashes) => hashes.len() as u64,
            Members::Registers(registers) => estimate(registers),
        }
    }

    /// Whether the count is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Members::Hashes(_))
    }

    fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Members::Hashes(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                hashes.insert(place, hash);
                if hashes.len() > EXACT {
                    let mut registers = vec![0; REGISTERS];
                    hashes.iter().for_each(|hash| raise(&mut registers, *hash));
                    self.0 = Members::Registers(registers);
                }
            }
            Members::Registers(registers) => raise(registers, hash),
        }
    }
}

impl Aggregate for Distinct {
    fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, Members::Hashes(hashes)) => hashes.iter().for_each(|hash| self.insert(*hash)),
            (Members::Registers(mine), Members::Registers(registers)) => {
                mine.iter_mut().zip(registers).for_each(|(mine, rank)| *mine = (*mine).max(*rank));
            }
            (Members::Hashes(hashes), Members::Registers(registers)) => {
                let mut registers = registers.clone();
                hashes.iter().for_each(|hash| raise(&mut registers, *hash));
                self.0 = Members::Registers(registers);
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 33)
}

/// Raises the register of a hash to its rank: one more than the zeros that its other bits begin with.
#[expect(clippy::cast_possible_truncation, reason = "an index of 12 bits and a rank of at most 53")]
fn raise(registers: &mut [u8], hash: u64) {
    let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
    if let Some(register) = registers.get_mut((hash >> RANK_BITS) as usize) {
        *register = (*register).max(rank as u8);
    }
}

/// The improved raw estimator, algorithm 6 of Ertl's paper. It only adds, multiplies, divides and takes square roots, which
/// IEEE 754 defines to the last bit: all languages find the same number.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "register counts are at most 4,096; the estimate is positive"
)]
fn estimate(registers: &[u8]) -> u64 {
    let mut of_rank = [0_u32; RANK_BITS as usize + 2];
    for rank in registers {
        if let Some(count) = of_rank.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    let [zeros, ranks @ .., highest] = of_rank;
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(highest) / m);
    for count in ranks.iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(zeros) / m);
    (m * m / (2.0 * std::f64::consts::LN_2 * z) + 0.5) as u64
}

/// x + x² + 2 x⁴ + 4 x⁸ + ..., until it stands still.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// One third of 1 - x - (1 - √x)² / 2 - (1 - ⁴√x)² / 4 - ..., until it stands still.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[derive(Serialize, Deserialize)]
enum Text {
    #[serde(rename = "h")]
    Hashes(String),
    #[serde(rename = "r")]
    Registers(String),
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match &self.0 {
            Members::Hashes(hashes) => Text::Hashes(hashes.iter().flat_map(|hash| digits(*hash)).collect()),
            Members::Registers(registers) => {
                Text::Registers(registers.iter().map(|rank| digit(u64::from(*rank))).collect())
            }
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = match Text::deserialize(deserializer)? {
            Text::Hashes(text) => {
                text.as_bytes().chunks(HASH_DIGITS).map(number).collect::<Option<Vec<_>>>().map(
                    |mut hashes| {
                        hashes.sort_unstable();
                        hashes.dedup();
                        Members::Hashes(hashes)
                    },
                )
            }
            Text::Registers(text) if text.len() == REGISTERS => {
                text.bytes().map(value).collect::<Option<Vec<_>>>().map(Members::Registers)
            }
            Text::Registers(_) => None,
        };
        members.map(Self).ok_or_else(|| D::Error::custom("not what a distinct count is stored as"))
    }
}

fn digit(bits: u64) -> char {
    DIGITS.get((bits & 63) as usize).map_or('A', |digit| char::from(*digit))
}

fn value(digit: u8) -> Option<u8> {
    DIGITS.iter().position(|known| *known == digit).and_then(|value| u8::try_from(value).ok())
}

/// A hash as the base64 of its eight bytes, the highest first, without padding: ten digits of six bits, then one of four.
fn digits(hash: u64) -> impl Iterator<Item = char> {
    (0..HASH_DIGITS).map(move |place| match place {
        10 => digit(hash << 2),
        _ => digit(hash >> (58 - 6 * place)),
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    let (last, first) = digits.split_last()?;
    let first = first.iter().try_fold(0_u64, |sum, digit| Some((sum << 6) | u64::from(value(*digit)?)))?;
    (digits.len() == HASH_DIGITS).then_some((first << 4) | u64::from(value(*last)? >> 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: std::ops::Range<u32>) -> Distinct {
        members.fold(Distinct::default(), |mut distinct, member| {
            distinct.add(member.to_string());
            distinct
        })
    }

    fn again(distinct: &Distinct) -> Distinct {
        serde_json::from_str(&serde_json::to_string(distinct).unwrap()).unwrap()
    }

    #[test]
    fn few_members_are_exact() {
        let mut distinct = of(0..256);
        distinct.merge(&of(0..256));
        assert!(distinct.is_exact());
        assert_eq!(distinct.get(), 256);
        assert_eq!(again(&distinct), distinct);
        assert_eq!(serde_json::to_string(&distinct).unwrap().len(), 256 * 11 + 8);
    }

    #[test]
    fn many_members_are_estimated() {
        for count in [257, 1_000, 4_000, 10_000, 20_000, 50_000, 200_000] {
            let distinct = of(0..count);
            let error = distinct.get() as f64 / f64::from(count) - 1.0;
            assert!(error.abs() < 0.04, "{count}: {}", distinct.get());
            assert_eq!(again(&distinct), distinct);
        }
    }

    #[test]
    fn any_order_and_any_merge_make_the_same() {
        for (end, cut) in [(200, 100), (400, 100), (400, 350), (3_000, 1_000)] {
            let mut merged = of(cut..end);
            merged.merge(&of(0..cut + 50));
            assert_eq!(merged, of(0..end));
        }
    }

    #[test]
    fn what_is_no_distinct_count_is_refused() {
        for text in [r#"{"h":"AAAA"}"#, r#"{"r":"AAAA"}"#, r#"{"h":"AAAAAAAAAA!"}"#, "3"] {
            assert!(serde_json::from_str::<Distinct>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let text: String = digits(0x0123_4567_89AB_CDEF).collect();
        assert_eq!(text, "ASNFZ4mrze8");
        assert_eq!(number(text.as_bytes()), Some(0x0123_4567_89AB_CDEF));
        assert_eq!(hash(b""), 0xEFD0_1F60_BA99_2926);
    }
}
