//! What people see of keys and values.

use serde_json::json;

use crate::keyed::scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sdks_store_is_told_in_words_and_bytes_in_digits() {
    let scene = scene().await;
    let _running = scene.start().await;
    let windows = r#"{"w":1700000060000,"p":[[1700000000000,1],[1700000060000,2]]}"#;
    let far = 4_000_000_000_000_000_000_u64;
    let orders = json!([
        ["set", "windows", windows],
        ["set", "like-windows", r#"{"w":640}"#],
        ["set-zeros", "zeros", 3],
        ["timer", "idle", far, "\u{0}\u{0}"],
    ]);
    scene.order("c-1", orders).await;
    scene.emitted(1).await;
    let shown = scene.cli("state get ledger c-1").done().stdout;
    let told = "2 panes from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z";
    for wanted in [
        &format!("\nwindows  {told}, watermark 2023-11-14T22:14:20.000Z\n  {windows}\n"),
        "\nlike-windows  {\"w\":640}\n",
        "\nzeros  (3 bytes)\n  000000  00 00 00 ",
        "idle  2096-10-02T07:06:40.000Z  in ",
        "  2 bytes, base64 AAA=",
    ] {
        assert!(shown.contains(wanted), "no {wanted:?} in {shown}");
    }
    assert_eq!(scene.cli("state get ledger c-1 --field zeros").done().stdout, "\0\0\0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_off_says_so() {
    let scene = scene().await;
    let _running = scene.start().await;
    scene.order("c-1", json!([["add", 1]])).await;
    scene.emitted(1).await;
    scene.order("c-2", json!([["add", 1]])).await;
    scene.emitted(2).await;
    for (flags, first) in [("--limit 1", "c-1"), ("--limit 1 -o json", "{\"key\":\"c-1\"")] {
        let ended = scene.cli(&format!("state ls ledger {flags}")).done();
        assert!(ended.stdout.contains(first) && !ended.stdout.contains("c-2"), "{ended:?}");
        assert!(ended.stderr.contains("the first 1 key; there are more"), "{ended:?}");
    }
    let ended = scene.cli("state ls ledger --limit 2").done();
    assert!(!ended.stderr.contains("there are more"), "{ended:?}");
}
