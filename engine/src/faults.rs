//! Deliberate harm, for tests only. Without the features `failpoints` and `mutants` nothing of it is compiled in.
//!
//! A **failpoint** is a place in the way of an event or of a swap at which the process can be told to kill itself, as if
//! somebody had sent SIGKILL at that very moment: `FAILPOINT="all-stored=kill@7"` kills it when it is there for the
//! seventh time.
//!
//! A **mutant** is a defect that somebody might well introduce. `MUTANT=ack-before-publish`, or `mutate` within a
//! process, chooses one; the tests of the promises are worth something if they catch every one.

/// Kills the process here if it was told to.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::faults::hit($name);
    };
}

/// Whether the named defect is switched on.
macro_rules! mutant {
    ($name:literal) => {{
        #[cfg(feature = "mutants")]
        {
            $crate::faults::is_mutant($name)
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
}

pub(crate) use {failpoint, mutant};

#[cfg(feature = "failpoints")]
mod points {
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    /// Every failpoint, in the order in which an event or a swap comes by.
    pub const POINTS: &[&str] = &[
        // An event.
        "received",
        "before-call",
        "called",
        "checked",
        "output-sent",
        "output-stored",
        "all-stored",
        "acked",
        // An event that fails.
        "retrying",
        "retried",
        "dead-lettering",
        "dead-letter-stored",
        "terminated",
        // A swap.
        "swap-loaded",
        "swap-kept",
        "swapped",
        "resubscribing",
        "resubscribed",
        // The end.
        "stopping",
        "drained",
    ];

    /// The failpoints of plugins with a key, in the order in which an event comes by, and those of a take-over.
    pub const KEYED_POINTS: &[&str] = &[
        "taking-over",
        "taken-over",
        "event-read",
        "batch-call",
        "batch-called",
        "migrated",
        "record-write",
        "record-written",
        "outbox-post",
        "outbox-stored",
    ];

    /// How long a process lingers: as long as a busy machine needs to send what is waiting.
    const LINGER: Duration = Duration::from_millis(40);

    /// One failpoint that is to kill.
    struct Armed {
        name: &'static str,
        at: u64,
        lingers: bool,
        hits: AtomicU64,
    }

    static ARMED: LazyLock<Vec<Armed>> = LazyLock::new(|| {
        let wanted = std::env::var("FAILPOINT").unwrap_or_default();
        wanted.split(';').filter(|one| !one.is_empty()).map(armed).collect()
    });

    fn armed(text: &str) -> Armed {
        let parsed = text.split_once('=').and_then(|(name, order)| {
            let name = POINTS.iter().chain(KEYED_POINTS).find(|point| **point == name)?;
            let (how, at) = order.split_once('@')?;
            let lingers = ["kill", "linger"].iter().position(|known| *known == how)? == 1;
            Some(Armed { name, at: at.parse().ok()?, lingers, hits: AtomicU64::new(0) })
        });
        parsed.unwrap_or_else(|| {
            end(&format!(
                "FAILPOINT: {text:?} is neither NAME=kill@HIT nor NAME=linger@HIT, NAME one of {POINTS:?} and {KEYED_POINTS:?}"
            ))
        })
    }

    /// Comes by a failpoint.
    pub fn hit(name: &'static str) {
        for armed in ARMED.iter().filter(|armed| armed.name == name) {
            if armed.hits.fetch_add(1, Ordering::Relaxed) + 1 == armed.at {
                if armed.lingers {
                    std::thread::sleep(LINGER);
                }
                end(&format!("failpoint {name}: kill"));
            }
        }
    }

    /// Says why, past every buffer, and ends the process as nothing but the system can.
    fn end(why: &str) -> ! {
        let _unheard = std::io::stderr().write_all(format!("{why}\n").as_bytes());
        let _alive = kill_process(getpid(), Signal::KILL);
        // The signal may take a moment, in which nothing more may happen on this thread.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(feature = "failpoints")]
pub use points::{KEYED_POINTS, POINTS, hit};

#[cfg(feature = "mutants")]
mod mutants {
    use std::sync::{LazyLock, PoisonError, RwLock};

    /// Every defect that can be switched on.
    pub const MUTANTS: &[&str] = &[
        "ack-before-publish",
        "ack-failure-ignored",
        "asked-wait-unbounded",
        "attempts-not-counted",
        "budget-leaks",
        "dead-letter-after-term",
        "drain-skipped",
        "heartbeat-missing",
        "hops-not-counted",
        "id-with-attempt",
        "id-with-version",
        "id-without-index",
        "letter-error-swallowed",
        "letter-without-id",
        "no-message-id",
        "outage-gives-up",
        "probes-unbounded",
        "publish-before-check",
        "publish-error-swallowed",
        "quarantine-forgets",
        "quarantine-leaks",
        "repeated-batch-taken-for-stored",
        "retry-without-delay",
        "swap-before-drain",
        "unknown-is-for-good",
    ];

    /// Those of plugins with a key.
    pub const KEYED_MUTANTS: &[&str] = &[
        "applied-ignored",
        "commit-split",
        "cursor-too-early",
        "fence-once",
        "keyed-letter-error-swallowed",
        "outbox-not-republished",
        "owner-not-looked-at",
        "publish-before-commit",
        "settled-too-early",
        "timers-not-rescanned",
        "unscanned-keys-are-new",
    ];

    static CURRENT: LazyLock<RwLock<Option<String>>> =
        LazyLock::new(|| RwLock::new(std::env::var("MUTANT").ok()));

    /// Switches one defect on, or all off.
    pub fn mutate(name: Option<&str>) {
        *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = name.map(str::to_owned);
    }

    /// Whether a defect is switched on.
    pub fn is_mutant(name: &'static str) -> bool {
        debug_assert!([MUTANTS, KEYED_MUTANTS].concat().contains(&name), "{name} is not in the list");
        CURRENT.read().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(name)
    }
}

#[cfg(feature = "mutants")]
pub use mutants::{KEYED_MUTANTS, MUTANTS, is_mutant, mutate};
