//! Fair sharing of the cores between plugins, by the weights in their manifests.
//!
//! The system's scheduler shares by thread, so a plugin with 64 busy instances would get 64 shares. Therefore a thread asks
//! for its turn before it begins a batch of calls: at most as many threads of one plugin run at once as there are cores, and
//! a plugin that is ahead of the others waits for as long as they want the cores. Nobody waits for a core that nobody wants.
//! A call that has begun is never held up: from there on it is the system's to share.
//!
//! [`ledger`] decides, and is pure; here are its threads and clocks.

mod ledger;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use self::ledger::{Answer, Id, Ledger, weighted};
use super::host::thread_cpu_time;

/// The least CPU time by which a plugin may be ahead before those behind lose what they do not use, in milliseconds.
const LEAST_LEAD_MS: u64 = 1_000;

/// The accounts of all plugins.
pub(super) struct Shares {
    ledger: Mutex<Ledger<Arc<Waiter>>>,
    /// How many threads wait: what the clock looks at before it takes the lock.
    waiting: AtomicUsize,
    plugins: Mutex<BTreeMap<String, Weak<Account>>>,
    cores: usize,
    born: Instant,
}

/// One plugin's account, shared by its versions. Closed when the last of their threads has ended.
struct Account {
    shares: Arc<Shares>,
    id: Id,
}

/// A thread that waits for its turn.
struct Waiter {
    thread: Thread,
    its_turn: AtomicBool,
}

/// One thread's part in a plugin's account.
pub(super) struct Share {
    account: Arc<Account>,
    weight: u32,
    /// How far ahead its plugin may be before the others lose what they do not use, weighted.
    most_ahead: u128,
    /// The thread's CPU clock when it was last read, in nanoseconds; 0 if what came since does not count.
    clock_ns: AtomicU64,
}

/// A thread's turn; it ends when this is dropped.
pub(super) struct Turn<'a> {
    share: &'a Share,
    began: Instant,
}

impl Shares {
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(cores)),
            waiting: AtomicUsize::new(0),
            plugins: Mutex::default(),
            cores,
            born: Instant::now(),
        })
    }

    /// The part of one thread. `cpu_ms` is what one call may use.
    pub fn share(self: &Arc<Self>, plugin: &str, weight: u32, cpu_ms: u64) -> Arc<Share> {
        // Room for a call on each core: that much a plugin may be ahead without anybody having left anything unused.
        let lead_ms = cpu_ms.saturating_mul(self.cores as u64).max(LEAST_LEAD_MS);
        Arc::new(Share {
            account: self.account(plugin),
            weight,
            most_ahead: weighted(lead_ms.saturating_mul(1_000_000), weight),
            clock_ns: AtomicU64::new(0),
        })
    }

    fn account(self: &Arc<Self>, plugin: &str) -> Arc<Account> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = plugins.get(plugin).and_then(Weak::upgrade) {
            return account;
        }
        plugins.retain(|_, account| account.strong_count() > 0);
        let id = self.lock().open();
        let account = Arc::new(Account { shares: Arc::clone(self), id });
        plugins.insert(plugin.to_owned(), Arc::downgrade(&account));
        account
    }

    /// Looks whether time has made it somebody's turn. To be called every tick; it never waits for the lock, whose holder
    /// looks by itself.
    pub fn tick(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut ledger = match self.ledger.try_lock() {
            Ok(ledger) => ledger,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let woken = self.admit(&mut ledger, self.since_born(Instant::now()));
        drop(ledger);
        wake(woken);
    }

    fn since_born(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.born))
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Arc<Waiter>>> {
        // Nothing in the books panics, so they are whole whoever held them.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those to be woken, once the lock is given back.
    fn admit(&self, ledger: &mut Ledger<Arc<Waiter>>, now: u64) -> Vec<Arc<Waiter>> {
        if ledger.waiting() == 0 {
            return Vec::new();
        }
        let woken = ledger.admit(now);
        self.waiting.store(ledger.waiting(), Ordering::Relaxed);
        woken
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.shares.lock().close(self.id);
    }
}

impl Share {
    /// Waits for this thread's turn. `now` is the present time, which the caller has read anyway.
    pub fn turn(&self, now: Instant) -> Turn<'_> {
        let (shares, id) = (&self.account.shares, self.account.id);
        let at = shares.since_born(now);
        let mut ledger = shares.lock();
        // Those who wait come first, should time have made it their turn.
        let woken = shares.admit(&mut ledger, at);
        let answer = ledger.ask(id, at);
        if let Answer::Start { alone } = answer {
            drop(ledger);
            wake(woken);
            self.measure_from_here(alone);
            return Turn { share: self, began: now };
        }
        let waiter = Arc::new(Waiter { thread: std::thread::current(), its_turn: AtomicBool::new(false) });
        ledger.wait(id, Arc::clone(&waiter));
        shares.waiting.store(ledger.waiting(), Ordering::Relaxed);
        drop(ledger);
        wake(woken);
        while !waiter.its_turn.load(Ordering::Acquire) {
            std::thread::park();
        }
        self.measure_from_here(false);
        Turn { share: self, began: Instant::now() }
    }

    /// Reading a thread's clock is a call into the system, so it is left out while nobody compares.
    fn measure_from_here(&self, alone: bool) {
        if !alone && self.clock_ns.load(Ordering::Relaxed) == 0 {
            self.clock_ns.store(nanos(thread_cpu_time()), Ordering::Relaxed);
        }
    }

    /// Writes down what the thread has used since the last time, in the middle of a call or at the end of a turn. `cpu` is
    /// its clock; `ran` is what counts if it was not read before.
    pub fn charge(&self, cpu: Duration, ran: Duration) {
        let cpu_ns = nanos(cpu);
        let used_ns = match self.clock_ns.swap(cpu_ns, Ordering::Relaxed) {
            0 => nanos(ran),
            last => cpu_ns.saturating_sub(last),
        };
        let used = weighted(used_ns, self.weight);
        self.account.shares.lock().charge(self.account.id, used, self.most_ahead);
    }
}

impl Turn<'_> {
    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (shares, id) = (&self.share.account.shares, self.share.account.id);
        let now = Instant::now();
        let ran = now.saturating_duration_since(self.began);
        let at = shares.since_born(now);
        let mut ledger = shares.lock();
        if ledger.is_alone(id, at) {
            self.share.clock_ns.store(0, Ordering::Relaxed);
        } else {
            // Not a call into the system while others wait for the lock.
            drop(ledger);
            self.share.charge(thread_cpu_time(), ran);
            ledger = shares.lock();
        }
        ledger.end(id, at, nanos(ran));
        let woken = shares.admit(&mut ledger, at);
        drop(ledger);
        wake(woken);
    }
}

fn wake(waiters: Vec<Arc<Waiter>>) {
    for waiter in waiters {
        waiter.its_turn.store(true, Ordering::Release);
        waiter.thread.unpark();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
