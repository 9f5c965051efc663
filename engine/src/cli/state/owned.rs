//! Partitions taken over while a command works on them.

use std::sync::Arc;

use super::counted;
use crate::bus::Bus;
use crate::cli::exit::Failure;
use crate::keyed::steward::{Steward, StewardError};
use crate::manifest::PluginName;

/// Takes partitions over, does something with all of them, and lets them go, whatever came of it.
pub(super) async fn own<T>(
    bus: &Arc<dyn Bus>,
    plugin: &PluginName,
    (partitions, count): (impl IntoIterator<Item = u32>, u32),
    command: &str,
    work: impl AsyncFnOnce(&mut Vec<Steward>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let name = format!("wasmill-{command}-{}-{:08x}", std::process::id(), fastrand::u32(..));
    let mut stewards = Vec::new();
    let mut done = Ok(());
    for partition in partitions {
        match Steward::take_over(bus, plugin, partition, count, &name).await {
            Ok(steward) => stewards.push(steward),
            Err(error) => {
                done = Err(failed(error));
                break;
            }
        }
    }
    let worked = match done {
        Ok(()) => work(&mut stewards).await,
        Err(failure) => Err(failure),
    };
    let mut released = Ok(());
    for steward in stewards {
        let one = steward.release().await.map_err(failed);
        released = released.and(one);
    }
    let worked = worked?;
    released.map(|()| worked)
}

/// Says how many keys were done when the work ended.
pub(super) fn ended_at(failure: Failure, work: &str, keys: u64) -> Failure {
    failure.ended(work, format_args!("it has come to {}; run it again", counted(keys, "key")))
}

/// The bus's part of an error keeps its exit code.
pub(super) fn failed(error: StewardError) -> Failure {
    match error {
        StewardError::Bus(error) => Failure::bus(error),
        error => error.into(),
    }
}
