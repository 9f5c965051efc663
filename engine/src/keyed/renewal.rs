//! The owner's value, written again and again: that renews the lease, and tells how far the partition has come.

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::bucket::Owner;
use super::ground::Ground;
use super::journal::Fenced;
use super::lease::LeaseError;
use super::source::Source;

/// A renewal that is over.
pub(super) struct Renewed {
    owner: Owner,
    sent: Instant,
    stored: Result<u64, Fenced>,
}

/// The renewals, of which one at most is under way.
pub(super) struct Renewals {
    owner: Owner,
    under_way: Option<BoxFuture<'static, Renewed>>,
}

impl Renewals {
    pub fn new(owner: Owner) -> Self {
        Self { owner, under_way: None }
    }

    /// Begins one.
    pub fn begin(&mut self, ground: &Ground, sources: &mut [Source], releases: bool) {
        if self.under_way.is_some() {
            return;
        }
        let mut owner = self.owner.clone();
        owner.released = releases;
        owner.settled = ground.journal.settled().cursor();
        for source in sources {
            owner.cursor.insert(source.stream.name.clone(), source.reached());
            owner.clock_ns = owner.clock_ns.max(source.clock_at_cursor());
        }
        let Ok(message) = owner.message(&ground.bucket) else { return };
        let journal = ground.journal.clone();
        let sent = Instant::now();
        self.under_way = Some(Box::pin(async move {
            let stored = journal.renew(owner.clone(), message).await;
            Renewed { owner, sent, stored }
        }));
    }

    /// Resolves when the one that is under way is over; never if there is none.
    pub async fn over(&mut self) -> Renewed {
        match &mut self.under_way {
            Some(renewing) => renewing.await,
            None => std::future::pending().await,
        }
    }

    /// Whether one is under way.
    pub fn under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes note of one that is over; answers what is stored now.
    pub fn note(&mut self, renewed: Renewed, ground: &Ground) -> Result<&Owner, Fenced> {
        self.under_way = None;
        renewed.stored?;
        ground.renewed(renewed.sent);
        self.owner = renewed.owner;
        Ok(&self.owner)
    }
}

/// Renews the lease until something is done that may take its time.
pub(super) async fn renewed_meanwhile<T>(
    ground: &Ground,
    owner: &Owner,
    doing: impl Future<Output = Result<T, LeaseError>>,
) -> Result<T, LeaseError> {
    let mut doing = std::pin::pin!(doing);
    loop {
        tokio::select! {
            biased;
            done = &mut doing => return done,
            () = tokio::time::sleep(ground.renewal()) => {
                let sent = Instant::now();
                // Without the lease the journal says so to whoever writes next.
                if ground.journal.renew(owner.clone(), owner.message(&ground.bucket)?).await.is_ok() {
                    ground.renewed(sent);
                }
            }
        }
    }
}
