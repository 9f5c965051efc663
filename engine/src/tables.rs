//! Reference data for plugins: KV buckets that a manifest grants by name, watched into memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use crate::bus::{Begin, Bus, BusError, Follow, FollowSpec, Followed};
use crate::limits::{MAX_TABLE_BYTES, PREFETCH_BYTES, PREFETCH_MESSAGES};
use crate::lookup::{LookupError, Tables};
use crate::manifest::PluginName;

/// The wait before a bucket that could not be read is tried again, first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How often somebody to whom nothing comes looks whether there is anything left to come.
const LOOK: Duration = Duration::from_secs(1);
/// What NATS KV says of a value that was taken away.
const OPERATION_HEADER: &str = "KV-Operation";
/// What a row takes beside its name and value, in bytes.
const ROW_BYTES: usize = 64;

/// The tables of one version of a plugin. Dropping them ends the watching.
pub struct BucketTables {
    tables: BTreeMap<String, Arc<Table>>,
    _watching: Vec<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Table(RwLock<Rows>);

#[derive(Default)]
struct Rows {
    rows: HashMap<Box<str>, Bytes>,
    bytes: usize,
    /// All that the bucket held when the watching began is here.
    complete: bool,
    /// It is larger than may be held.
    overflown: bool,
}

impl BucketTables {
    /// Begins to watch buckets: for each a name for the plugin, and the bucket's.
    #[must_use]
    pub fn watch(plugin: &PluginName, bus: &Arc<dyn Bus>, granted: &BTreeMap<String, String>) -> Self {
        let mut tables = BTreeMap::new();
        let mut watching = Vec::new();
        for (name, bucket) in granted {
            let table = Arc::new(Table::default());
            let watch = Watch {
                plugin: plugin.clone(),
                bus: Arc::clone(bus),
                bucket: bucket.clone(),
                table: Arc::clone(&table),
            };
            watching.push(AbortOnDropHandle::new(tokio::spawn(watch.run())));
            tables.insert(name.clone(), table);
        }
        Self { tables, _watching: watching }
    }
}

impl fmt::Debug for BucketTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tables.keys()).finish()
    }
}

impl Tables for BucketTables {
    fn get(&self, table: &str, key: &str) -> Result<Option<Bytes>, LookupError> {
        let table = self.tables.get(table).ok_or(LookupError::NotGranted)?;
        let rows = table.0.read().unwrap_or_else(PoisonError::into_inner);
        if !rows.complete || rows.overflown {
            return Err(LookupError::NotReady);
        }
        Ok(rows.rows.get(key).cloned())
    }
}

impl Table {
    /// Brings a row up to date; says whether the table can still be held.
    fn put(&self, key: &str, value: Option<Bytes>) -> bool {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let size = |value: &Bytes| key.len() + value.len() + ROW_BYTES;
        let come = value.as_ref().map_or(0, size);
        let before = match value {
            Some(value) => rows.rows.insert(key.into(), value),
            None => rows.rows.remove(key),
        };
        rows.bytes = (rows.bytes + come).saturating_sub(before.as_ref().map_or(0, size));
        if rows.bytes > MAX_TABLE_BYTES {
            *rows = Rows { overflown: true, ..Rows::default() };
        }
        !rows.overflown
    }

    fn complete(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).complete = true;
    }

    /// Before the bucket is read anew: what was taken away meanwhile must not stay.
    fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Rows::default();
    }
}

/// Watches one bucket.
struct Watch {
    plugin: PluginName,
    bus: Arc<dyn Bus>,
    bucket: String,
    table: Arc<Table>,
}

impl Watch {
    async fn run(self) {
        let mut wait = AGAIN.0;
        loop {
            let ended = self.follow(&mut wait).await;
            let Err(err) = ended else { return };
            tracing::warn!(
                plugin = self.plugin.as_str(),
                bucket = self.bucket,
                "its lookup table is not up to date: {err}; trying again in {wait:?}"
            );
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Follows the bucket; ends well if the table is too large to be held.
    async fn follow(&self, wait: &mut Duration) -> Result<(), BusError> {
        let spec = FollowSpec {
            stream: format!("KV_{}", self.bucket),
            filters: Vec::new(),
            begin: Begin::LastPerSubject,
            headers_only: false,
            prefetch: PREFETCH_MESSAGES,
            prefetch_bytes: PREFETCH_BYTES,
        };
        let mut follow = self.bus.follow(&spec).await?;
        self.table.clear();
        if follow.pending() == 0 {
            self.table.complete();
        }
        *wait = AGAIN.0;
        loop {
            let followed = match tokio::time::timeout(LOOK, next(&mut *follow)).await {
                Ok(followed) => followed?,
                // The last that was counted may have been taken out of the bucket.
                Err(_) if follow.pending() == 0 => {
                    self.table.complete();
                    continue;
                }
                Err(_) => continue,
            };
            let Some(Followed { message, pending, .. }) = followed else { break };
            let place =
                message.subject.as_str().strip_prefix("$KV.").and_then(|s| s.strip_prefix(&*self.bucket));
            if let Some(key) = place.and_then(|place| place.strip_prefix('.')) {
                let gone = message.headers.get(OPERATION_HEADER).is_some_and(|operation| operation != "PUT");
                if !self.table.put(key, (!gone).then_some(message.payload)) {
                    tracing::error!(
                        plugin = self.plugin.as_str(),
                        bucket = self.bucket,
                        "its lookup table is over {MAX_TABLE_BYTES} bytes and cannot be held: lookups in it fail"
                    );
                    return Ok(());
                }
            }
            if pending == 0 {
                self.table.complete();
            }
        }
        Err(BusError::StreamMissing(spec.stream))
    }
}

async fn next(follow: &mut dyn Follow) -> Result<Option<Followed>, BusError> {
    loop {
        match follow.next().await.transpose() {
            Err(err) if err.is_transient() => {}
            other => return other,
        }
    }
}
