//! How much of one subscription waits in this process, and how much more may be asked for.
//!
//! A pull request names a count and a number of bytes, and the server ends it at whichever it comes to first. What a request
//! has left when it ends by its count is not told, and which request a message belongs to is not either, so the bytes of all
//! requests under way count until none of their messages is missing any more.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::bus::Delivery;

/// What the server adds to headers and payload when it compares a message with a request: its subject and the subject on which
/// it is settled. A server takes control lines of 4 KiB, so neither is longer.
const AROUND_A_MESSAGE: usize = 8_192;

/// What a message is taken to weigh when it is asked for, in bytes. Larger ones end their request early, and another follows;
/// with smaller ones a request leaves little unused, so that many fit into the bound one after the other.
const EXPECTED: usize = 16 * 1_024;

/// The bytes that wait in the process, counted by the task that pulls and by whoever takes them.
pub(super) struct Ahead {
    /// The most that may wait.
    most: usize,
    /// The least that a request asks for: any one message fits.
    least: usize,
    waiting: AtomicUsize,
    taken: Notify,
}

impl Ahead {
    /// At most so many bytes, and at least one message of the largest size that the server takes.
    pub(super) fn new(most: usize, max_payload: usize) -> Self {
        let least = max_payload.saturating_add(AROUND_A_MESSAGE);
        Self { most: most.max(least), least, waiting: AtomicUsize::new(0), taken: Notify::new() }
    }

    /// A delivery came in and waits.
    pub(super) fn comes(&self, delivery: &Delivery) {
        self.waiting.fetch_add(weight(delivery), Ordering::Relaxed);
    }

    /// It was taken.
    pub(super) fn goes(&self, delivery: &Delivery) {
        self.waiting.fetch_sub(weight(delivery), Ordering::Relaxed);
        self.taken.notify_one();
    }

    /// Resolves when some were taken since it last did.
    pub(super) fn taken(&self) -> Notified<'_> {
        self.taken.notified()
    }

    /// How many bytes a request for so many messages may bring while `asked` are under way; none while that is too few to be
    /// worth one.
    pub(super) fn room(&self, asked: usize, messages: usize) -> Option<usize> {
        let held = self.waiting.load(Ordering::Relaxed).saturating_add(asked);
        let room = self.most.saturating_sub(held);
        // Large messages are better asked for a few at a time than one by one.
        let worthwhile = self.least.max(self.most / 4);
        // Half is left for the next request, which is to be at the server before this one has ended.
        let wanted = messages.saturating_mul(EXPECTED).min(self.most / 2).max(self.least);
        (room >= worthwhile).then_some(wanted.min(room))
    }
}

/// What a delivery is taken to weigh, in bytes.
pub(super) fn weight(delivery: &Delivery) -> usize {
    delivery.message.subject.as_str().len() + delivery.message.wire_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::subject::Subject;

    fn delivery(bytes: usize) -> Delivery {
        Delivery {
            message: Message::new(Subject::new("a").unwrap(), vec![0; bytes]),
            position: None,
            receipt: None,
            received: tokio::time::Instant::now(),
        }
    }

    #[test]
    fn what_waits_and_what_is_asked_for_stay_within_the_bound() {
        let ahead = Ahead::new(1_000_000, 10_000);
        assert_eq!(ahead.room(0, 1_000), Some(500_000));
        assert_eq!(ahead.room(500_000, 1_000), Some(500_000));
        assert_eq!(ahead.room(700_000, 1_000), Some(300_000));
        assert_eq!(ahead.room(750_001, 1_000), None, "too few to be worth a request");
        assert_eq!(
            (ahead.room(0, 10), ahead.room(0, 1)),
            (Some(10 * EXPECTED), Some(10_000 + AROUND_A_MESSAGE))
        );
        let large = delivery(600_000);
        ahead.comes(&large);
        assert_eq!(ahead.room(0, 1_000), Some(399_999));
        assert_eq!(ahead.room(200_000, 1_000), None);
        ahead.goes(&large);
        assert_eq!(ahead.room(0, 1_000), Some(500_000));
    }

    #[test]
    fn the_largest_message_fits_whatever_the_bound() {
        let ahead = Ahead::new(1, 1_000_000);
        assert_eq!(ahead.room(0, 1), Some(1_008_192));
        ahead.comes(&delivery(100));
        assert_eq!(ahead.room(0, 1), None, "what waits has to be taken first");
        ahead.goes(&delivery(100));
        assert_eq!(ahead.room(0, 1), Some(1_008_192));
    }
}
