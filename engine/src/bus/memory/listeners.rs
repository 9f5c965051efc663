//! Subscriptions without a stream, in memory: bounded buffers, queue groups, every drop counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::bus::{CoreSpec, Delivery};
use crate::message::Message;
use crate::subject::Pattern;

struct Listener {
    subject: Pattern,
    queue_group: Option<String>,
    ready: mpsc::Sender<Delivery>,
    dropped: Arc<AtomicU64>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Whose turn it is in the queue groups.
    turn: usize,
}

impl Listeners {
    pub(super) fn add(&mut self, spec: &CoreSpec) -> (mpsc::Receiver<Delivery>, Arc<AtomicU64>) {
        let (ready, receiver) = mpsc::channel(spec.buffer.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        self.all.push(Listener {
            subject: spec.subject.clone(),
            queue_group: spec.queue_group.clone(),
            ready,
            dropped: Arc::clone(&dropped),
        });
        (receiver, dropped)
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Hands a message to all who listen, one of each queue group. Returns the patterns whose buffer was full.
    pub(super) fn deliver(&mut self, message: &Arc<Message>) -> Vec<String> {
        if self.all.is_empty() {
            return Vec::new();
        }
        self.all.retain(|listener| !listener.ready.is_closed());
        let subject = message.subject.as_str();
        let matching: Vec<&Listener> = self.all.iter().filter(|one| one.subject.matches(subject)).collect();
        let mut groups: Vec<&str> = matching.iter().filter_map(|one| one.queue_group.as_deref()).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut chosen: Vec<&Listener> =
            matching.iter().copied().filter(|one| one.queue_group.is_none()).collect();
        self.turn = self.turn.wrapping_add(1);
        for group in groups {
            let members = || matching.iter().filter(|one| one.queue_group.as_deref() == Some(group));
            chosen.extend(members().nth(self.turn % members().count().max(1)));
        }
        let mut full = Vec::new();
        for listener in chosen {
            let delivery = Delivery {
                message: Message::clone(message),
                position: None,
                receipt: None,
                received: tokio::time::Instant::now(),
            };
            if let Err(TrySendError::Full(_)) = listener.ready.try_send(delivery) {
                listener.dropped.fetch_add(1, Ordering::Relaxed);
                full.push(listener.subject.to_string());
            }
        }
        full
    }
}
