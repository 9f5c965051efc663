//! The books of fair sharing, without threads or clocks: who has used how much, who is at work, who waits.
//!
//! Start-time fair queueing (Goyal, Guo and Vin, 1996) by CPU time over weight, with the system's scheduler underneath:
//! it shares the cores among the threads that run, the books only say which may start.

use std::collections::VecDeque;

use crate::limits::DEFAULT_WEIGHT;

/// How far ahead of the others a plugin may be and still start, in nanoseconds of a plugin of the default weight. One that
/// is further ahead waits until it is ahead no more, so this is also how much it may then do in one go.
const SLACK: u128 = 5_000_000;
/// The longest time for which a core is kept for a plugin that has just given it back, in nanoseconds. Whoever feeds a busy
/// plugin takes a moment, in which a long call of another would take its place.
const LONGEST_KEPT: u64 = 2_000_000;

/// Names an account.
pub(super) type Id = usize;

/// CPU time in nanoseconds, as it counts against a weight: what is compared between plugins.
pub(super) fn weighted(cpu_ns: u64, weight: u32) -> u128 {
    // A turn that the clock did not see still counts, or who takes many of them would always be first.
    u128::from(cpu_ns.max(1)) * u128::from(DEFAULT_WEIGHT) / u128::from(weight.max(1))
}

/// All accounts. `W` stands for a thread that waits.
pub(super) struct Ledger<W> {
    cores: usize,
    accounts: Vec<Account<W>>,
    /// Accounts that were closed, to be used again.
    closed: Vec<Id>,
    /// Accounts that want the cores now.
    active: Vec<Id>,
    /// The least that any of those has used: where one that comes in begins. It never goes back.
    present: u128,
    waiting: usize,
}

struct Account<W> {
    /// All that it used so far, weighted.
    used: u128,
    /// Its threads at work.
    running: usize,
    /// Cores that it gave back a moment ago, each with the time until which it is kept.
    kept: Vec<u64>,
    /// Its threads that wait for their turn.
    waiting: VecDeque<W>,
    active: bool,
}

/// What an account sees of the others.
struct Others {
    /// The cores that they have.
    cores: usize,
    /// The least that one of them has used; none if no other wants the cores.
    least: Option<u128>,
}

/// What a thread is told that asks for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It may start.
    Start {
        /// No other plugin wants the cores, so nothing has to be measured.
        alone: bool,
    },
    /// It is to wait, see [`Ledger::wait`].
    Wait,
}

impl<W> Account<W> {
    fn new() -> Self {
        Self { used: 0, running: 0, kept: Vec::new(), waiting: VecDeque::new(), active: false }
    }

    fn wants_cores(&mut self, now: u64) -> bool {
        self.kept.retain(|until| *until > now);
        self.running > 0 || !self.waiting.is_empty() || !self.kept.is_empty()
    }

    fn cores(&self) -> usize {
        self.running + self.kept.len()
    }
}

impl<W> Ledger<W> {
    pub fn new(cores: usize) -> Self {
        Self {
            cores: cores.max(1),
            accounts: Vec::new(),
            closed: Vec::new(),
            active: Vec::new(),
            present: 0,
            waiting: 0,
        }
    }

    pub fn open(&mut self) -> Id {
        if let Some(id) = self.closed.pop() {
            return id;
        }
        self.accounts.push(Account::new());
        self.accounts.len() - 1
    }

    /// Closes an account whose threads have all ended.
    pub fn close(&mut self, id: Id) {
        self.active.retain(|other| *other != id);
        if let Some(account) = self.accounts.get_mut(id) {
            self.waiting -= account.waiting.len();
            *account = Account::new();
            self.closed.push(id);
        }
    }

    /// How many threads wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether no other account wants the cores.
    pub fn is_alone(&mut self, id: Id, now: u64) -> bool {
        self.others(id, now).least.is_none()
    }

    /// A thread asks for its turn.
    pub fn ask(&mut self, id: Id, now: u64) -> Answer {
        let others = self.others(id, now);
        let Some(account) = self.accounts.get_mut(id) else { return Answer::Wait };
        if !account.active {
            // What it did not use while it wanted nothing is neither kept for it nor held against it.
            account.used = account.used.max(self.present);
            account.active = true;
            self.active.push(id);
        }
        account.kept.pop();
        let in_line = !account.waiting.is_empty() || account.running >= self.cores;
        let fair = others.least.is_none_or(|least| account.used <= least + SLACK);
        let spare = others.cores + account.cores() < self.cores;
        if in_line || !(fair || spare) {
            return Answer::Wait;
        }
        account.running += 1;
        Answer::Start { alone: others.least.is_none() }
    }

    /// Puts a thread that may not start yet at the end of its account's line.
    pub fn wait(&mut self, id: Id, thread: W) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.kept.clear();
            account.waiting.push_back(thread);
            self.waiting += 1;
        }
    }

    /// Writes down what a turn has used. An account that has more left than `most_ahead` compared with this one does not use
    /// its share, with fewer threads than its weight is worth; what is over is taken from it, or it would hold back the
    /// rest for ever.
    pub fn charge(&mut self, id: Id, used: u128, most_ahead: u128) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        account.used += used;
        let least = account.used.saturating_sub(most_ahead);
        for other in &self.active {
            if let Some(other) = self.accounts.get_mut(*other) {
                other.used = other.used.max(least);
            }
        }
    }

    /// A thread's turn is over, and lasted for `ran` nanoseconds.
    pub fn end(&mut self, id: Id, now: u64, ran: u64) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        account.running = account.running.saturating_sub(1);
        if account.waiting.is_empty() {
            // Never longer than it was used, so that a plugin with little to do keeps little from the others.
            account.kept.push(now + ran.min(LONGEST_KEPT));
        }
    }

    /// The threads whose turn it is now. They count as started.
    pub fn admit(&mut self, now: u64) -> Vec<W> {
        let mut admitted = Vec::new();
        while let Some(id) = self.first_in_line() {
            let others = self.others(id, now);
            let Some(account) = self.accounts.get_mut(id) else { break };
            let fair = others.least.is_none_or(|least| account.used <= least);
            let spare = others.cores + account.cores() < self.cores;
            if !(fair || spare) {
                break;
            }
            let Some(thread) = account.waiting.pop_front() else { break };
            account.running += 1;
            self.waiting -= 1;
            admitted.push(thread);
        }
        admitted
    }

    /// Of the accounts with a thread that waits and could run, the one that has used least: if it may not start, no other may.
    fn first_in_line(&self) -> Option<Id> {
        if self.waiting == 0 {
            return None;
        }
        let accounts = self.active.iter().filter_map(|id| Some((*id, self.accounts.get(*id)?)));
        accounts
            .filter(|(_, account)| !account.waiting.is_empty() && account.running < self.cores)
            .min_by_key(|(_, account)| account.used)
            .map(|(id, _)| id)
    }

    /// Brings the books up to date and looks at all accounts but one.
    fn others(&mut self, id: Id, now: u64) -> Others {
        let (accounts, mut gone) = (&mut self.accounts, 0);
        self.active.retain(|active| {
            let Some(account) = accounts.get_mut(*active) else { return false };
            account.active = account.wants_cores(now);
            if !account.active {
                gone = account.used.max(gone);
            }
            account.active
        });
        let mut others = Others { cores: 0, least: None };
        let mut least: Option<u128> = None;
        for active in &self.active {
            let Some(account) = self.accounts.get(*active) else { continue };
            least = Some(least.map_or(account.used, |least| least.min(account.used)));
            if *active != id {
                others.cores += account.cores();
                others.least = Some(others.least.map_or(account.used, |least| least.min(account.used)));
            }
        }
        // Once nobody wants anything, all begin anew from where the furthest came to.
        self.present = self.present.max(least.unwrap_or(gone));
        others
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
