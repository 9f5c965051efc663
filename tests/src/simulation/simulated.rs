//! What delivery to a plugin with a key and to one without differ in, for what serves both.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::life::Life;
use super::plan::Storm;
use super::slot::Slot;
use super::{Broken, Subject};

/// What is simulated, with all that is its own.
pub(super) trait Simulated: Sized + 'static {
    /// Which it is.
    const SUBJECT: Subject;
    /// A run in which more happens than this goes round in circles.
    const MOST_ENTRIES: usize;
    /// Sets its chance apart from that of the plans, so that a plan may be altered without altering all chance.
    const CHANCE: u64;

    /// What a seed means.
    type Plan: Send + Sync;
    /// A kind of fault.
    type Fault: Copy + PartialEq;
    /// What was seen, and the promises that this must keep.
    type Ledger: Send;
    /// What lasts for a while in the weather.
    type Spells: Default + Send;
    /// What is known of one engine's life.
    type Vital: Default + Send;
    /// What lies in an engine's directory.
    type Installed: Copy + Send;
    /// An engine that runs.
    type Running: Clone + Send;

    /// The seed of a plan.
    fn seed(plan: &Self::Plan) -> u64;

    /// Which faults strike.
    fn storm(plan: &Self::Plan) -> &Storm<Self::Fault>;

    /// A ledger in which nothing stands.
    fn ledger(plan: &Self::Plan) -> Self::Ledger;

    /// What lies in each engine's directory at first.
    fn installed(plan: &Self::Plan) -> Self::Installed;

    /// One engine, as the supervisor keeps it.
    fn serve(
        slot: &Slot<Self>,
        life: Arc<Life<Self>>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Whether what an engine has counted fits, once it is dead or has stopped.
    fn audit(_life: &Life<Self>, _stopped: bool) -> Result<(), Broken> {
        Ok(())
    }
}
