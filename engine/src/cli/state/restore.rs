//! The records of an export stored where others are.
//!
//! All lines are stored before anything that is there is forgotten, so that no key is lost if this ends before its time:
//! it is as it was then, or as the export has it.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::counted;
use super::export::lowest;
use super::input::Input;
use super::line::Head;
use super::owned::failed;
use crate::cli::exit::Failure;
use crate::cli::out::grouped;
use crate::key;
use crate::keyed::bucket::Owner;
use crate::keyed::rewind::remains;
use crate::keyed::steward::Steward;
use crate::keyed::survey::Filed;
use crate::record::{Reached, Record};

/// Records that are looked up at once.
pub(super) const AT_ONCE: usize = 32;

pub(super) struct Restore<'a> {
    pub(super) input: &'a Input,
    pub(super) head: &'a Head,
    /// How many the export has.
    pub(super) records: u64,
    /// Into how many partitions the keys were divided.
    pub(super) before: u32,
    pub(super) partitions: u32,
    pub(super) rewind: bool,
    /// The keys of the export, if all others stay.
    pub(super) merged: Option<&'a HashSet<String>>,
}

/// What is left of a key that is forgotten: see [`remains`].
struct Left {
    record: Record,
    ttl_s: Option<u64>,
    /// A record of the export has it in itself.
    taken: bool,
}

/// What there was before.
#[derive(Default)]
struct Old {
    left: HashMap<String, Left>,
    /// The last sequence of a record, by partition.
    last: HashMap<u32, u64>,
}

/// How far it came.
struct Progress {
    rewound: bool,
    stored: u64,
}

impl Restore<'_> {
    pub(super) async fn run(&self, stewards: &mut [Steward]) -> Result<(), Failure> {
        let mut progress = Progress { rewound: self.rewind, stored: 0 };
        let done = self.restore(stewards, &mut progress).await;
        done.map_err(|failure| self.ended_early(failure, &progress))
    }

    async fn restore(&self, stewards: &mut [Steward], progress: &mut Progress) -> Result<(), Failure> {
        progress.rewound = self.set_out(stewards).await?;
        let mut old = match self.merged {
            Some(keys) => self.named(stewards, keys, progress.rewound).await?,
            None => self.all(stewards, progress.rewound).await?,
        };
        self.store(stewards, &mut old, &mut progress.stored).await?;
        for left in old.left.values().filter(|left| !left.taken) {
            let steward = self.steward(stewards, &left.record.key)?;
            steward.put(&left.record, left.ttl_s).await.map_err(failed)?;
        }
        for steward in &mut *stewards {
            steward.flush().await.map_err(failed)?;
        }
        if self.merged.is_none() {
            forget(stewards, &old.last).await?;
        }
        // The first partition last: it is what the others are judged by.
        for steward in stewards.iter().rev().filter(|_| self.divides_anew()) {
            steward.set(|owner| owner.partitions = self.partitions).await.map_err(failed)?;
        }
        Ok(())
    }

    fn divides_anew(&self) -> bool {
        self.before != self.partitions
    }

    fn steward<'s>(&self, stewards: &'s mut [Steward], key: &str) -> anyhow::Result<&'s mut Steward> {
        let partition = key::partition(key, self.partitions);
        let steward = stewards.iter_mut().find(|steward| steward.partition() == partition);
        steward.with_context(|| format!("partition {partition} is not owned"))
    }

    /// Sets where the plugin goes on; says whether that is where the export was made.
    async fn set_out(&self, stewards: &[Steward]) -> Result<bool, Failure> {
        let mut owners = Vec::new();
        for steward in stewards.iter().filter(|steward| steward.partition() < self.before) {
            owners.push(steward.owner().await);
        }
        let present = lowest(&owners);
        let rewinds = self.rewind || present.is_empty();
        if !rewinds && !self.divides_anew() {
            return Ok(false);
        }
        let (cursor, clock_ns) = if rewinds {
            (self.head.cursor.clone(), self.head.clock_ns)
        } else {
            (present, owners.iter().map(|owner| owner.clock_ns).min().unwrap_or_default())
        };
        let resets = owners.iter().map(|owner| owner.resets).max().unwrap_or_default();
        for steward in stewards {
            let cursor = cursor.clone();
            let set = |owner: &mut Owner| {
                (owner.cursor, owner.clock_ns, owner.resets) = (cursor, clock_ns, resets);
            };
            steward.set(set).await.map_err(failed)?;
        }
        Ok(rewinds)
    }

    /// All that there is.
    async fn all(&self, stewards: &[Steward], rewound: bool) -> Result<Old, Failure> {
        let mut old = Old::default();
        for steward in stewards {
            let cursor = steward.owner().await.cursor;
            let mut last = 0;
            let mut records = steward.records().await.map_err(Failure::bus)?;
            while let Some(filed) = records.next().await.map_err(Failure::bus)? {
                last = filed.sequence;
                // What an import that ended early stored elsewhere is not what an engine went by.
                if !rewound && key::partition(&filed.key, self.before) == steward.partition() {
                    old.note(filed, &cursor);
                }
            }
            old.last.insert(steward.partition(), last);
        }
        Ok(old)
    }

    /// What there is of some keys.
    async fn named(
        &self,
        stewards: &[Steward],
        keys: &HashSet<String>,
        rewound: bool,
    ) -> Result<Old, Failure> {
        let mut old = Old::default();
        for steward in stewards.iter().filter(|_| !rewound) {
            let cursor = steward.owner().await.cursor;
            let own = |key: &&String| key::partition(key, self.partitions) == steward.partition();
            let found = stream::iter(keys.iter().filter(own)).map(|key| steward.record(key));
            let mut found = found.buffer_unordered(AT_ONCE);
            while let Some(filed) = found.try_next().await.map_err(Failure::bus)? {
                if let Some(filed) = filed {
                    old.note(filed, &cursor);
                }
            }
        }
        Ok(old)
    }

    async fn store(&self, stewards: &mut [Steward], old: &mut Old, stored: &mut u64) -> Result<(), Failure> {
        let mut lines = self.input.lines()?;
        lines.head()?;
        while let Some((mut record, ttl_s)) = lines.next()? {
            let steward = self.steward(stewards, &record.key)?;
            if !record.outbox.is_empty() {
                let since_ns = record.touched_ns;
                steward.emit(vec![&mut record], since_ns).await.map_err(failed)?;
            }
            if let Some(left) = old.left.get_mut(&record.key) {
                left.taken = true;
                for (stream, reached) in &left.record.applied {
                    record.apply(stream, *reached);
                }
            }
            steward.put(&record, ttl_s).await.map_err(failed)?;
            *stored += 1;
        }
        Ok(())
    }

    /// Says what has become of the keys, and how to go on.
    fn ended_early(&self, failure: Failure, progress: &Progress) -> Failure {
        let merges = self.merged.is_some();
        let others = if progress.stored < self.records || merges {
            "all other keys are as they were"
        } else {
            "keys that the export does not have may still be there"
        };
        let mut flags = if merges { "--merge" } else { "--replace" }.to_owned();
        if progress.rewound && !merges {
            flags.push_str(" --rewind");
        }
        let mut until = "";
        if self.divides_anew() {
            flags.push_str(&format!(" --partitions {}", self.partitions));
            until = ", and let no engine run the plugin until then";
        }
        let (stored, records) = (grouped(progress.stored), counted(self.records, "record"));
        failure.ended(
            "the import",
            format_args!(
                "{stored} of {records} were stored, {others}; run it again with {flags} --yes{until}"
            ),
        )
    }
}

impl Old {
    fn note(&mut self, filed: Filed, cursor: &BTreeMap<String, Reached>) {
        let Ok(record) = &filed.record else { return };
        if let Some(record) = remains(record, cursor, &[]) {
            self.left.insert(filed.key, Left { record, ttl_s: filed.ttl_s, taken: false });
        }
    }
}

/// Forgets what stands where it stood before.
async fn forget(stewards: &mut [Steward], last: &HashMap<u32, u64>) -> Result<(), Failure> {
    for steward in stewards {
        let last = last.get(&steward.partition()).copied().unwrap_or_default();
        let mut records = steward.records().await.map_err(Failure::bus)?;
        while let Some(filed) = records.next().await.map_err(Failure::bus)?
            && filed.sequence <= last
        {
            steward.remove(&filed.key).await.map_err(failed)?;
        }
        steward.flush().await.map_err(failed)?;
    }
    Ok(())
}
