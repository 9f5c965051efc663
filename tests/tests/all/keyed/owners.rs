//! Engines that compete for the keys of a plugin, and come after one another.

use super::account::{Ledger, entries, failing, stop};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_owns_the_keys_and_the_other_follows_at_once() {
    // Without the release the other would wait for longer than any test.
    let mut ledger = Ledger::new("").with_lease_ms(300_000);
    let (first, second) = (ledger.place(), ledger.place());
    let one = ledger.start(&first).await;
    one.until("ledger", "the owner", |status| status.partitions == ["0: owned"]).await.unwrap();
    let other = ledger.start(&second).await;
    let waits = |told: &[String]| told.iter().any(|told| told.starts_with("0: ") && told != "0: owned");
    other.until("ledger", "waiting", |status| waits(&status.partitions)).await.unwrap();
    ledger.publish(&failing(0, 200, 10));
    ledger.done();
    stop(&one.engine).await;
    ledger.publish(&failing(200, 200, 10));
    other.until("ledger", "the owner", |status| status.partitions == ["0: owned"]).await.unwrap();
    ledger.done();
    stop(&other.engine).await;
    ledger.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_is_followed_and_nothing_happens_twice() {
    let mut ledger = Ledger::new("");
    let (first, second) = (ledger.place(), ledger.place());
    ledger.publish(&failing(0, 3_000, 300));
    let killed = first.spawn(&ledger.server.url()).unwrap();
    let other = ledger.start(&second).await;
    while ledger.scene.outputs().unwrap() < 500 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    killed.kill().unwrap();
    ledger.publish(&entries(3_000, 500, 300));
    ledger.done();
    stop(&other.engine).await;
    ledger.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_changes_nothing_when_it_wakes() {
    let mut ledger = Ledger::new("");
    let (first, second) = (ledger.place(), ledger.place());
    ledger.publish(&failing(0, 3_000, 300));
    let frozen = first.spawn(&ledger.server.url()).unwrap();
    while ledger.scene.outputs().unwrap() < 200 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    frozen.signal("STOP").unwrap();
    let other = ledger.start(&second).await;
    other.until("ledger", "the owner", |status| status.partitions == ["0: owned"]).await.unwrap();
    ledger.publish(&failing(3_008, 992, 300));
    frozen.signal("CONT").unwrap();
    ledger.done();
    stop(&other.engine).await;
    frozen.signal("TERM").unwrap();
    assert_eq!(frozen.exit_code().unwrap(), Some(0));
    ledger.audit();
}
