//! What a key did in one stretch of time.

use serde::{Deserialize, Serialize};
use wasmill_sdk::aggregate::{Aggregate, Count, Distinct, Sum};
use wasmill_sdk::window::Buckets;

/// All that a window keeps of a key, as its state field holds it.
pub type Kept = Buckets<Seen>;

/// Payments, their sum, the members they were made with where a limit asks for them, and the suspects among them. JSON: an
/// array in this order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen(Count, Sum, Option<Distinct>, Count);

impl Seen {
    /// One payment.
    pub fn pay(&mut self, amount: f64, member: Option<&str>) {
        self.0.add(1);
        self.1.add(amount);
        if let Some(member) = member {
            self.2.get_or_insert_default().add(member);
        }
    }

    /// A payment or a report that makes the key suspect.
    pub fn suspect(&mut self, is_suspect: bool) {
        self.3.add(u64::from(is_suspect));
    }

    /// How many payments.
    pub fn payments(&self) -> u64 {
        self.0.get()
    }

    /// What they add up to.
    pub fn sum(&self) -> f64 {
        self.1.get()
    }

    /// How many different members.
    pub fn members(&self) -> u64 {
        self.2.as_ref().map_or(0, Distinct::get)
    }

    /// How many suspects.
    pub fn suspects(&self) -> u64 {
        self.3.get()
    }
}

impl Aggregate for Seen {
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1.merge(&other.1);
        if let Some(members) = &other.2 {
            self.2.get_or_insert_default().merge(members);
        }
        self.3.merge(&other.3);
    }
}
