//! How much may be in flight, and how fast outputs may leave.
//!
//! The engine has one budget of events and bytes. Half of it is promised: each plugin has a part of that half by its
//! weight, which nobody else can take, so a slow plugin that fills all it can get leaves the others theirs. The other
//! half goes to whoever asks first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// An amount of what is in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Load {
    const NONE: Self = Self { events: 0, bytes: 0 };

    fn each(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self { events: with(self.events, other.events), bytes: with(self.bytes, other.bytes) }
    }

    fn fits(self, bound: Self) -> bool {
        self.events <= bound.events && self.bytes <= bound.bytes
    }
}

/// The engine's budget.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    most: Load,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    weights: u64,
    /// What of the half that is not promised is in use.
    common: Load,
}

/// One plugin's.
struct Account {
    id: u64,
    weight: u64,
    used: Load,
}

impl Budget {
    /// A budget that nobody uses yet.
    #[must_use]
    pub fn new(most: Load) -> Self {
        Self(Arc::new(Inner { most, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Opens an account for a plugin.
    #[must_use]
    pub fn share(&self, weight: u32) -> Share {
        let mut state = self.0.lock();
        let id = state.accounts.last().map_or(0, |last| last.id + 1);
        state.accounts.push(Account { id, weight: weight.into(), used: Load::NONE });
        state.settle(self.0.most);
        Share { budget: self.clone(), id }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is promised to an account.
    fn promised(&self, account: &Account, most: Load) -> Load {
        let part = |of: u64| of / 2 * account.weight / self.weights.max(1);
        Load { events: part(most.events), bytes: part(most.bytes) }
    }

    /// Reckons anew after accounts or weights have changed.
    fn settle(&mut self, most: Load) {
        self.weights = self.accounts.iter().map(|account| account.weight).sum();
        let beyond = self.accounts.iter().map(|account| self.beyond(account, account.used, most));
        self.common = beyond.fold(Load::NONE, |sum, more| sum.each(more, u64::saturating_add));
    }

    /// How much of a load is beyond what is promised.
    fn beyond(&self, account: &Account, load: Load, most: Load) -> Load {
        load.each(self.promised(account, most), u64::saturating_sub)
    }

    /// What the common half would hold if an account had another load.
    fn common_with(&self, account: &Account, load: Load, most: Load) -> Load {
        let others = self.common.each(self.beyond(account, account.used, most), u64::saturating_sub);
        others.each(self.beyond(account, load, most), u64::saturating_add)
    }

    fn set(&mut self, id: u64, most: Load, change: impl Fn(Load) -> Load) {
        let Some(at) = self.accounts.iter().position(|account| account.id == id) else { return };
        let Some(account) = self.accounts.get(at) else { return };
        let load = change(account.used);
        self.common = self.common_with(account, load, most);
        if let Some(account) = self.accounts.get_mut(at) {
            account.used = load;
        }
    }
}

/// One plugin's account with the budget, closed when dropped.
pub struct Share {
    budget: Budget,
    id: u64,
}

impl Share {
    /// Whether one more event may be taken in, when what is in flight of the plugin may have so many bytes. A plugin that
    /// has nothing in flight may always take one.
    #[must_use]
    pub fn has_room(&self, most_bytes: u64) -> bool {
        let inner = &self.budget.0;
        let state = inner.lock();
        let Some(account) = state.accounts.iter().find(|account| account.id == self.id) else { return true };
        if account.used.events == 0 {
            return true;
        }
        let half = Load { events: inner.most.events / 2, bytes: inner.most.bytes / 2 };
        // How large the next event is shows when it is there: one more byte stands for it.
        let load = account.used.each(Load { events: 1, bytes: 1 }, u64::saturating_add);
        // What is promised to it holds even if somebody's last event was larger than what was left.
        let promised = load.fits(state.promised(account, inner.most));
        load.bytes <= most_bytes && (promised || state.common_with(account, load, inner.most).fits(half))
    }

    /// Resolves when something was given back after this was called.
    pub fn freed(&self) -> Notified<'_> {
        self.budget.0.freed.notified()
    }

    /// Takes one event in.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: u64) -> Taken {
        let load = Load { events: 1, bytes };
        let inner = &self.budget.0;
        inner.lock().set(self.id, inner.most, |used| used.each(load, u64::saturating_add));
        Taken { share: Arc::clone(self), load }
    }

    /// Changes the weight.
    pub fn weigh(&self, weight: u32) {
        let inner = &self.budget.0;
        let mut state = inner.lock();
        if let Some(account) = state.accounts.iter_mut().find(|account| account.id == self.id) {
            account.weight = weight.into();
        }
        state.settle(inner.most);
        drop(state);
        inner.freed.notify_waiters();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let inner = &self.budget.0;
        let mut state = inner.lock();
        state.accounts.retain(|account| account.id != self.id);
        state.settle(inner.most);
        drop(state);
        inner.freed.notify_waiters();
    }
}

/// One event in flight, given back when dropped.
pub struct Taken {
    share: Arc<Share>,
    load: Load,
}

impl Taken {
    /// Adds bytes that came of the event.
    pub fn grow(&mut self, bytes: u64) {
        let inner = &self.share.budget.0;
        inner
            .lock()
            .set(self.share.id, inner.most, |used| Load { bytes: used.bytes.saturating_add(bytes), ..used });
        self.load.bytes += bytes;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let inner = &self.share.budget.0;
        inner.lock().set(self.share.id, inner.most, |used| used.each(self.load, u64::saturating_sub));
        inner.freed.notify_waiters();
    }
}

/// A steady rate, with a second's worth of credit.
#[derive(Debug, Default)]
pub struct Pace {
    account: Mutex<Option<Credit>>,
}

/// What may go at once; less than nothing when more went than there was.
#[derive(Debug, Clone, Copy)]
struct Credit {
    at: Instant,
    left: f64,
}

impl Pace {
    /// The longest that a change of the rate takes to be felt by those who wait.
    const LOOK: Duration = Duration::from_millis(100);

    /// Waits until so many may go, at a rate of so many a second, which may change meanwhile; 0 is no bound.
    pub async fn wait(&self, count: usize, per_second: impl Fn() -> u32) {
        if count == 0 {
            return;
        }
        loop {
            let rate = per_second();
            if rate == 0 {
                return;
            }
            let Some(short) = self.take(count, f64::from(rate)) else { return };
            tokio::time::sleep(short.min(Self::LOOK)).await;
        }
    }

    /// Takes the credit for as many as want to go, if there is any; else says when there will be.
    fn take(&self, count: usize, rate: f64) -> Option<Duration> {
        let now = Instant::now();
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let known = account.unwrap_or(Credit { at: now, left: rate });
        let earned = now.duration_since(known.at).as_secs_f64() * rate;
        let left = (known.left + earned).min(rate);
        let goes = left > 0.0;
        *account = Some(Credit { at: now, left: if goes { left - count as f64 } else { left } });
        (!goes).then(|| Duration::from_secs_f64((-left / rate).max(0.001)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(share: &Arc<Share>, bytes: u64) -> Vec<Taken> {
        let mut taken = Vec::new();
        while share.has_room(u64::MAX) {
            taken.push(share.take(bytes));
        }
        taken
    }

    #[test]
    fn one_plugin_leaves_the_others_what_is_promised_to_them() {
        let budget = Budget::new(Load { events: 100, bytes: 1_000_000 });
        let (greedy, modest) = (Arc::new(budget.share(100)), Arc::new(budget.share(300)));
        let of_greedy = fill(&greedy, 10);
        assert_eq!(of_greedy.len(), 12 + 50, "its part of the promised half, and the common half");
        let of_modest = fill(&modest, 10);
        assert_eq!(of_modest.len(), 37);
        drop(of_greedy);
        assert_eq!(fill(&modest, 10).len(), 50, "now the common half is free");
        drop(of_modest);
        drop(greedy);
        assert_eq!(fill(&modest, 10).len(), 100, "alone it may have all");
    }

    #[test]
    fn bytes_count_as_events_do_and_one_event_always_passes() {
        let budget = Budget::new(Load { events: 1_000, bytes: 1_000 });
        let share = Arc::new(budget.share(1));
        assert_eq!(fill(&share, 300).len(), 4, "each begins below the bound");
        let huge = share.take(1_000_000);
        assert!(!share.has_room(u64::MAX));
        drop(huge);
        assert!(share.has_room(u64::MAX));
        let mut one = share.take(100);
        assert!(share.has_room(500));
        one.grow(500);
        assert!(!share.has_room(500), "over the plugin's own bound");
        drop(one);
        assert!(share.has_room(0), "nothing in flight");
    }

    #[test]
    fn who_takes_too_much_at_once_leaves_the_others_theirs() {
        let budget = Budget::new(Load { events: 100, bytes: 1_000 });
        let (greedy, modest) = (Arc::new(budget.share(1)), Arc::new(budget.share(1)));
        let of_greedy = fill(&greedy, 400);
        assert_eq!(of_greedy.len(), 2);
        assert_eq!(fill(&modest, 10).len(), 25, "half of the promised half, however full the other is");
    }

    #[test]
    fn everything_taken_is_given_back() {
        let budget = Budget::new(Load { events: 10, bytes: 100 });
        let share = Arc::new(budget.share(5));
        let taken = fill(&share, 30);
        share.weigh(7);
        let other = budget.share(100);
        drop(taken);
        drop(other);
        assert_eq!(budget.0.lock().common, Load::NONE);
        assert_eq!(budget.0.lock().accounts.first().unwrap().used, Load::NONE);
    }

    #[tokio::test(start_paused = true)]
    async fn outputs_leave_at_the_rate_with_a_second_of_credit() {
        let pace = Pace::default();
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..5 {
            pace.wait(50, || 100).await;
            at.push(start.elapsed().as_millis());
        }
        assert!(at.iter().zip([0, 0, 1, 501, 1_001]).all(|(at, wanted)| at.abs_diff(wanted) <= 2), "{at:?}");
        pace.wait(1_000_000, || 0).await;
        assert_eq!(start.elapsed().as_millis(), at[4], "0 is no bound");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_feels_another_rate() {
        let (pace, rate) = (Pace::default(), std::sync::atomic::AtomicU32::new(1));
        pace.wait(1_000, || 1).await;
        let start = Instant::now();
        let rate = &rate;
        let faster = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            rate.store(1_000, std::sync::atomic::Ordering::Relaxed);
        };
        tokio::join!(pace.wait(1, || rate.load(std::sync::atomic::Ordering::Relaxed)), faster);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}
