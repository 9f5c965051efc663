//! Letters are corrected and removed.

use super::*;

/// One letter that `rule` rejects, for its amount is a text.
async fn rejected() -> (Scene, Running) {
    let scene = scene().await;
    scene.place.put("rule", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let bad = bytes::Bytes::from_static(b"{\"amount\":\"500\"}");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("X-Own", "1");
    scene.jetstream.publish_with_headers("payments.card", headers, bad).await.unwrap().await.unwrap();
    let running = scene.start().await;
    running.until("rule", "setting it aside", dead(1)).await.unwrap();
    (scene, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_stands_for_the_one_it_corrects() {
    let (scene, running) = rejected().await;
    std::fs::write(scene.place.plugins().join("good.json"), "{\"amount\":500}").unwrap();
    let edited = scene.letters("edit 1 --data good.json --header X-Own=2 --header New=3").done();
    assert!(edited.stderr.contains("letter 2 stands for letter 1"), "{}", edited.stderr);
    let shown = scene.letters("show 2 -o json").done().json();
    assert_eq!((&shown["edited_from"], &shown["state"]), (&1.into(), &"open".into()));
    assert_eq!((&shown["reason"], &shown["payload"]["data"]["amount"]), (&"rejected".into(), &500.into()));
    assert_eq!(shown["headers"], serde_json::json!([["New", "3"], ["X-Own", "2"]]));
    assert_eq!(scene.listed("--done")[0]["state"], "edited");

    scene.letters("redrive 1").said(1, "it was edited");
    scene.letters("edit 1 --data good.json").said(1, "has been dealt with");
    scene.letters("redrive 2").said(0, "1 letter sent");
    running.until("rule", "through with it", |status| status.counters.done == 1).await.unwrap();
    let alert = scene.stored("ALERTS").await.remove(0);
    assert!(alert.header("Nats-Msg-Id").unwrap().ends_with(":e1:r1:0"), "{:?}", alert.headers);
    assert_eq!(alert.header("Wasmill-Cause").unwrap(), "PAYMENTS:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_that_fails_or_changes_nothing_leaves_all_as_it_was() {
    let (scene, running) = rejected().await;
    for (editor, wanted) in
        [("false", "failed"), ("true", "nothing was changed"), ("no-such-editor", "failed")]
    {
        edit_with(&scene, 1, editor).failed(1, wanted);
    }
    scene.letters("edit 1 --header X-Own=1").failed(1, "nothing was changed");
    scene.letters("edit 1 --remove-header None").failed(1, "no header");
    scene.letters("edit 1 --data none.json").failed(1, "none.json");
    scene.letters("edit 9").failed(1, "no dead letter 9");
    scene.letters("edit 1 --header X").failed(2, "NAME=VALUE");
    assert_eq!(streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(), 1);

    edit_with(&scene, 1, "sed -i s/\\\"500\\\"/500/").said(0, "letter 2 stands for letter 1");
    let shown = scene.letters("show 2").done().stdout;
    assert!(shown.contains("edited from") && shown.contains("\"amount\": 500\n"), "{shown}");
    scene.letters("redrive --plugin rule").said(1, "1 letter sent");
    running.until("rule", "through with it", |status| status.counters.done == 1).await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_gone_with_its_marks() {
    let scene = scene().await;
    let running = scene.set_aside(6).await;
    scene.mend(&running).await;
    scene.letters("redrive 1 2").done();
    running.until("rule", "through with them", |status| status.counters.done == 2).await.unwrap();
    scene.letters("purge").failed(2, "which letters to purge?");
    scene.letters("purge --done").failed(1, "2 letters, 0 of them open, would be removed for good");
    assert_eq!(numbers(&scene.listed("")), [1, 2, 3, 4, 5, 6]);
    scene.letters("purge --done --yes").said(0, "2 letters, 0 of them open, removed");
    assert_eq!(numbers(&scene.listed("")), [3, 4, 5, 6]);
    assert_eq!(streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(), 4);
    scene.letters("purge --plugin other --yes").said(0, "no dead letters");
    scene.letters("purge 2 3 --yes").said(1, "there is no dead letter 2");
    scene.letters("purge --reason trap --limit 2 --yes").said(0, "2 letters, 2 of them open, removed");
    assert_eq!(numbers(&scene.listed("")), [6]);
    scene.letters("purge --all --yes").done();
    assert_eq!(streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(), 0);
    let nothing = scene.letters("ls").done();
    assert_eq!((nothing.stdout.as_str(), nothing.stderr.as_str()), ("", "no dead letters\n"));
}
