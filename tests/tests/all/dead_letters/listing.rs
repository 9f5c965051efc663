//! Letters are found and shown.

use super::*;
use crate::setbacks::publish_raw;

/// Letters 1 to 3 of `rule` (traps), 4 and 5 of `strict` (rejections).
async fn five() -> (Scene, Running) {
    let scene = scene().await;
    let running = scene.set_aside(3).await;
    let strict = LARGE_AMOUNT.replace("payments.card", "payments.cash");
    scene.place.put("strict", &amount_threshold(), &strict).unwrap();
    for (payload, failures) in [("{\"a\":\"\\u001b[2J\"}", 1), ("\u{1b}[31mred\u{9b}", 2)] {
        streams::publish(&scene.jetstream, "payments.cash", [payload.into()]).await.unwrap();
        running.until("strict", "setting it aside", dead(failures)).await.unwrap();
    }
    (scene, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_letters() {
    let (scene, _running) = five().await;
    let stored: Vec<_> =
        scene.listed("").iter().map(|letter| letter["stored"].as_str().unwrap().to_owned()).collect();
    for (filter, wanted) in [
        ("", &[1, 2, 3, 4, 5][..]),
        ("--plugin rule", &[1, 2, 3]),
        ("--plugin nobody", &[]),
        ("--reason rejected", &[4, 5]),
        ("--reason rejected --reason trap --limit 4", &[1, 2, 3, 4]),
        ("--plugin rule --reason rejected", &[]),
        ("--since 1h", &[1, 2, 3, 4, 5]),
        ("--until 1h", &[]),
        (&format!("--since {}", stored[2]), &[3, 4, 5]),
        (&format!("--until {}", stored[2]), &[1, 2]),
        (&format!("--since {} --until {} --plugin rule", stored[1], stored[4]), &[2, 3]),
        ("5 1 --seq 3 --seq 1", &[1, 3, 5]),
        ("1 4 --plugin strict", &[4]),
        ("--open --limit 1", &[1]),
        ("--done", &[]),
    ] {
        assert_eq!(numbers(&scene.listed(filter)), wanted, "{filter}");
    }
    scene.letters("ls 9").failed(1, "there is no dead letter 9");
    scene.letters("ls --since yesterday").failed(2, "neither a time");
    scene.letters("ls --open --done").failed(2, "cannot be used with");
    scene.letters("ls --plugin a.b").failed(2, "no plugin name");
    scene.letters("redrive").failed(2, "which letters to redrive?");
    scene.letters("redrive --limit 3").failed(2, "which letters to redrive?");

    let groups = scene.letters("ls --group -o json").done().stdout;
    let groups: Vec<Value> = groups.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(groups.len(), 2);
    for (group, plugin, reason, count, example) in
        [(&groups[0], "rule", "trap", 3, 1), (&groups[1], "strict", "rejected", 2, 4)]
    {
        assert_eq!((&group["plugin"], &group["reason"]), (&plugin.into(), &reason.into()));
        assert_eq!((&group["count"], &group["example"]), (&count.into(), &example.into()));
    }
    assert_eq!(groups[0]["last"], stored[2]);
    let table = scene.letters("ls --group --plugin strict").done().stdout;
    let cells: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((cells[..4].to_vec(), cells[6]), (vec!["strict", "rejected", "2", "2"], "4"));
    scene.letters("redrive --all --dry-run").said(0, "5 letters would be sent");
    assert_eq!(scene.listed("--open").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_in_full_and_harmless() {
    let (scene, _running) = five().await;
    let table = scene.letters("ls").done().stdout;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["LETTER", "STORED", "PLUGIN", "REASON", "STATE", "TRIES", "SUBJECT", "DETAIL"]);
    assert_eq!(rows[1][2..7], ["rule", "trap", "open", "1", "payments.card"]);
    let shown = scene.letters("show 1").done().stdout;
    // Three events failed at once, so the first letter may be of any of them.
    for wanted in
        ["letter", "plugin", "digest", "reason", "trap", "backtrace", "time used", "payload (", "PAYMENTS:"]
    {
        assert!(shown.contains(wanted), "no {wanted} in {shown}");
    }
    for letter in [4, 5] {
        let shown = scene.letters(&format!("show {letter}")).done().stdout;
        let control = shown.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{shown:?}");
    }
    let json = scene.letters("show 5 -o json").done().json();
    assert_eq!(json["payload"]["text"], "\u{1b}[31mred\u{9b}");
    let raw = scene.letters("show 5 --payload").done().stdout;
    assert_eq!(raw, "\u{1b}[31mred\u{9b}", "not one byte more");
    scene.letters("show 6").failed(1, "there is no dead letter 6");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_that_was_hit_is_named() {
    let scene = scene().await;
    let manifest = format!("{}[limits]\ncpu_ms = 7\n", mode("endless-loop"));
    scene.place.put("rule", &misbehaving(), &manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    let running = scene.start().await;
    running.until("rule", "setting it aside", dead(1)).await.unwrap();
    let letter = scene.stored("WASMILL_DEAD_LETTERS").await.remove(0);
    assert_eq!(letter.header("Wasmill-Limit").unwrap(), "limits.cpu_ms = 7");
    assert!(scene.letters("show 1").done().stdout.contains("limits.cpu_ms = 7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_letter_is_in_nobodys_way() {
    let (scene, running) = five().await;
    let subject = "wasmill.dead-letter.rule";
    publish_raw(&scene.server, subject, b"NATS/1.0\r\nx: \xff\xfe\r\n\r\n", b"?");
    publish_raw(&scene.server, subject, b"NATS/1.0\r\nbad name: v\r\nWasmill-Reason: \x1b[2J\r\n\r\n", b"?");
    streams::publish(&scene.jetstream, subject, ["?".into()]).await.unwrap();
    streams::publish(&scene.jetstream, "wasmill.dead-letter.rule.elsewhere", ["?".into()]).await.unwrap();
    scene.mend(&running).await;
    let listed = scene.listed("--plugin rule");
    assert_eq!(numbers(&listed), [1, 2, 3, 6, 7, 8]);
    assert_eq!((&listed[3]["state"], &listed[0]["state"]), (&"unreadable".into(), &"open".into()));
    let table = scene.letters("ls --reason unreadable").done().stdout;
    assert_eq!((table.lines().count(), table.contains('\x1b')), (4, false), "{table}");
    scene.letters("show 6").failed(1, "is no dead letter");
    scene.letters("show 9").failed(1, "there is no dead letter 9");
    let sent = scene.letters("redrive --plugin rule");
    sent.said(1, "3 letters sent to the plugin that failed through WASMILL_REDRIVES, 3 refused");
    running.until("rule", "through with the others", |status| status.counters.done == 3).await.unwrap();
    scene.letters("purge --reason unreadable --yes").said(0, "3 letters");
    assert_eq!(numbers(&scene.listed("")), [1, 2, 3, 4, 5]);
}
