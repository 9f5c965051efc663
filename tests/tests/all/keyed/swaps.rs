//! Versions that take over the state of those before them.

use wasmill_tests::checker::ledger::scene::{PLUGIN, version};

use super::account::{Ledger, entries, failing, stop};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_migrates_the_state_of_each_key() {
    let mut ledger = Ledger::new("");
    let place = ledger.place();
    let running = ledger.start(&place).await;
    ledger.publish(&failing(0, 320, 40));
    ledger.done();
    for next in [1_001, 1_002] {
        let component = version(next).unwrap();
        place.put_component(PLUGIN, &component).unwrap();
        ledger.publish(&failing(u64::from(next) * 1_600, 320, 40));
        running.running(PLUGIN, Some(&component)).await.unwrap();
        ledger.publish(&failing(u64::from(next) * 1_600 + 800, 320, 40));
        ledger.done();
    }
    stop(&running.engine).await;
    assert_eq!(ledger.audit().versions, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_migrate_makes_way_for_the_one_before() {
    let mut ledger = Ledger::new("");
    let place = ledger.place();
    let running = ledger.start(&place).await;
    ledger.publish(&entries(0, 200, 20));
    ledger.done();
    let before = version(1_000).unwrap();
    running.running(PLUGIN, Some(&before)).await.unwrap();

    let unfit = version(1_999).unwrap();
    place.put_component(PLUGIN, &unfit).unwrap();
    // Without an event there is nothing that it would have to migrate.
    running.running(PLUGIN, Some(&unfit)).await.unwrap();
    ledger.publish(&entries(200, 200, 20));
    let digest = wasmill::digest::Digest::of(&before).to_string();
    let told = |problem: &Option<String>| {
        problem.as_ref().is_some_and(|why| why.contains("does not know this shape"))
    };
    let status = running
        .until(PLUGIN, "back to the version before", |status| {
            status.running.as_ref().is_some_and(|running| running.digest == digest) && told(&status.problem)
        })
        .await
        .unwrap();
    assert!(status.problem.unwrap().contains("migration"));
    ledger.publish(&entries(400, 200, 20));
    ledger.done();
    stop(&running.engine).await;
    assert_eq!(ledger.audit().versions, 1);
}
