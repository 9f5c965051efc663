//! Timers that come due when nobody lives.

use std::time::Duration;

use wasmill_tests::checker::ledger::Entry;

use super::account::{Ledger, entries, stop};

/// After its event, in milliseconds.
const DUE: u64 = 400;

/// Each event sets a timer of its own and one that the next event of its key sets anew.
fn setting(from: u64, count: u64, keys: u64) -> Vec<Entry> {
    let set = |entry: Entry| {
        let set = vec![(format!("t{}", entry.n), DUE), ("idle".to_owned(), 3_600_000)];
        Entry { set, ..entry }
    };
    entries(from, count, keys).into_iter().map(set).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_that_came_due_while_nobody_lived_fire_once_each() {
    let mut ledger = Ledger::new("");
    let (sets, keys) = (400, 40);
    ledger.publish(&setting(0, sets, keys));
    // Of each key every other timer is cancelled, and `idle` set once more.
    let cancel = |entry: Entry| {
        let n = entry.n - sets;
        let cancel = if (n / keys).is_multiple_of(2) { vec![format!("t{n}")] } else { Vec::new() };
        Entry { cancel, set: vec![("idle".to_owned(), DUE)], ..entry }
    };
    let cancels: Vec<_> = entries(sets, sets, keys).into_iter().map(cancel).collect();
    ledger.publish(&cancels);
    tokio::time::sleep(Duration::from_millis(DUE)).await;
    let (first, second) = (ledger.place(), ledger.place());
    let killed = first.spawn(&ledger.server.url()).unwrap();
    while ledger.scene.outputs().unwrap() < 2 * sets + 20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    killed.kill().unwrap();
    let running = ledger.start(&second).await;
    ledger.done();
    stop(&running.engine).await;
    let findings = ledger.audit();
    // All events, half of the timers, and `idle` of each key.
    assert_eq!(findings.outputs, 2 * sets + sets / 2 + keys);
}
