//! `wasmill publish` on a real server: what is stored, under which subjects and ids, and where it stops.

use async_nats::jetstream::Context;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::streams::{self, Stored};

use super::{Ended, ended_with_input, run, wasmill};

/// `id,amount\na,1\nb,2\n`, compressed.
const GZIPPED: [u8; 38] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x4c, 0xd1, 0x49, 0xcc, 0xcd, 0x2f,
    0xcd, 0x2b, 0xe1, 0x4a, 0xd4, 0x31, 0xe4, 0x4a, 0xd2, 0x31, 0xe2, 0x02, 0x00, 0x37, 0x4f, 0x92, 0xc9,
    0x12, 0x00, 0x00, 0x00,
];

struct Scene {
    server: NatsServer,
    bus: Context,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = NatsServer::start().unwrap();
        let bus = streams::connect(&server.url()).await.unwrap();
        streams::create(&bus, "ROWS", "rows.>").await.unwrap();
        Self { server, bus, dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn args<'a>(&'a self, line: &'a str, url: &'a str) -> Vec<&'a str> {
        [&["publish"], &line.split_whitespace().collect::<Vec<_>>()[..], &["--bus-url", url]].concat()
    }

    fn publish(&self, line: &str) -> Ended {
        run(self.dir.path(), &self.args(line, &self.server.url()))
    }

    async fn stored(&self) -> Vec<Stored> {
        streams::read(&self.bus, "ROWS").await.unwrap()
    }

    async fn payloads(&self) -> Vec<String> {
        let stored = self.stored().await;
        stored.into_iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_stored_in_the_order_of_the_file() {
    let scene = Scene::new().await;
    let rows: Vec<String> = (0..5_000).map(|id| format!("{{\"id\":{id}}}")).collect();
    scene.file("rows.ndjson", rows.join("\n"));
    scene.publish("rows.ndjson --subject rows.all").done();
    // Compared row by row: a difference is shown by its place.
    for (at, (stored, row)) in scene.payloads().await.iter().zip(&rows).enumerate() {
        assert_eq!(stored, row, "row {at}");
    }
    assert_eq!(streams::count(&scene.bus, "ROWS").await.unwrap(), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_kind_become_typed_events() {
    let scene = Scene::new().await;
    scene.file(
        "typed.csv",
        "id,amount,vip,zip,note\n1,12.50,true,01234,\n2,63.410000000000004,False,1e5,\"a \"\"b\"\", c\nd é\"\n",
    );
    scene.file("rows.ndjson", "{\"id\": 3, \"big\": 12345678901234567890}\n\n{\"id\": 4, \"l\": [1, {}]}\n");
    scene.file("rows.gz", GZIPPED);
    scene.file("pick.ndjson", "{\"id\": 5, \"secret\": 1, \"n\": 1.5}\n");
    for (line, rows) in [
        ("typed.csv --subject rows.csv", 2),
        ("rows.ndjson --subject rows.ndjson", 2),
        ("rows.gz --subject rows.gz", 2),
        ("typed.csv --subject rows.few --columns id,vip --text id --skip 1 --limit 1", 1),
        ("pick.ndjson --subject rows.pick --omit secret", 1),
    ] {
        let published = scene.publish(line).done();
        assert_eq!(published.stdout, "", "the summary is talk");
        let summary = format!("{rows} {} published to ", if rows == 1 { "row" } else { "rows" });
        assert!(published.stderr.contains(&summary), "{}", published.stderr);
        assert!(published.stderr.contains(&format!(": {rows} stored")), "{}", published.stderr);
    }
    let input = ended_with_input(
        &mut wasmill(scene.dir.path(), &scene.args("- --subject rows.in -o json", &scene.server.url())),
        "id\n9\n",
    );
    let input = input.done();
    assert_eq!((&input.json()["stored"], input.stderr.as_str()), (&1.into(), ""), "asked for, it is data");
    assert_eq!(
        scene.payloads().await,
        [
            r#"{"id":1,"amount":12.50,"vip":true,"zip":"01234","note":null}"#,
            r#"{"id":2,"amount":63.410000000000004,"vip":"False","zip":"1e5","note":"a \"b\", c\nd é"}"#,
            r#"{"id": 3, "big": 12345678901234567890}"#,
            r#"{"id": 4, "l": [1, {}]}"#,
            r#"{"id":"a","amount":1}"#,
            r#"{"id":"b","amount":2}"#,
            r#"{"id":"2","vip":"False"}"#,
            r#"{"id":5,"n":1.5}"#,
            r#"{"id":9}"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_one_token_of_a_subject_whatever_it_holds() {
    let scene = Scene::new().await;
    let rows = "kind\nde\na.b\n*\n>\n\"x\r\nPUB y 0\"\n$SYS\n \n";
    scene.file("rows.csv", rows);
    scene.publish("rows.csv --subject rows.{kind}.x").done();
    let subjects: Vec<_> = scene.stored().await.into_iter().map(|message| message.subject).collect();
    assert_eq!(
        subjects,
        ["rows.de.x", "rows.a_b.x", "rows._.x", "rows._.x", "rows.x__PUB_y_0.x", "rows.$SYS.x", "rows._.x"]
    );
    let reserved = scene.publish("rows.csv --subject {kind}.x --skip 5 --limit 1 --core");
    reserved.failed(1, "row 6");
    reserved.failed(1, "reserved");
    scene.file("empty.csv", "kind,other\n,1\n");
    scene.publish("empty.csv --subject rows.{kind}").failed(1, "\"kind\" is empty");
    scene.publish("rows.csv --subject rows.{knid}").failed(1, "did you mean \"kind\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_times_come_from_fields() {
    let scene = Scene::new().await;
    scene.file("rows.csv", "id,at,n\np 1,2018-04-01 00:00:31,1\np2,1522540831250,2\n");
    let line = "rows.csv --subject rows.a --id-field id --time-field at --type card.payment --source /till/7";
    assert!(scene.publish(line).done().stderr.contains("2 stored"));
    let again = scene.publish(line).done();
    assert!(again.stderr.contains("0 stored, 2 not stored again"), "{}", again.stderr);
    let stored = scene.stored().await;
    assert_eq!(stored.len(), 2);
    for (message, id, time) in
        [(&stored[0], "p%201", "2018-04-01T00:00:31Z"), (&stored[1], "p2", "2018-04-01T00:00:31.25Z")]
    {
        for (name, value) in [
            ("Nats-Msg-Id", id),
            ("ce-id", id),
            ("ce-time", time),
            ("ce-type", "card.payment"),
            ("ce-source", "/till/7"),
            ("ce-specversion", "1.0"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(message.header(name).unwrap(), value);
        }
    }
    scene.publish("rows.csv --subject rows.b --time-field n --limit 1").done();
    scene.publish("rows.csv --subject rows.b --time-field id").failed(1, "\"p 1\" is no time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_published_again_stores_what_is_new_in_it() {
    let scene = Scene::new().await;
    scene.file("rows.csv", "n\n1\n2\n");
    scene.publish("rows.csv --subject rows.a").done();
    scene.file("rows.csv", "n\n1\n20\n3\n");
    let again = scene.publish("rows.csv --subject rows.a -o json").done().json();
    assert_eq!(
        (&again["published"], &again["stored"], &again["duplicates"]),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(scene.payloads().await, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":20}"#, r#"{"n":3}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_at_a_bad_row_and_says_how_to_go_on() {
    let scene = Scene::new().await;
    for (name, bytes, wanted) in [
        (
            "cells.csv",
            &b"a,b\n1,1\n2,2\n3\n4,4\n"[..],
            "row 3 (line 4): it has 1 cells, but the heading names 2",
        ),
        ("quoted.csv", b"a\n\"x\ny\"\n1\n\xff\n", "row 3 (line 5): cell 1 is not UTF-8"),
        ("json.ndjson", b"{\"a\":1}\n\n{\"a\":2}\n{\"a\":\n", "row 3 (line 4): no JSON object"),
        ("list.ndjson", b"{\"a\":1}\n{\"a\":2}\n[3]\n", "row 3 (line 3): no JSON object"),
    ] {
        scene.file(name, bytes);
        let before = streams::count(&scene.bus, "ROWS").await.unwrap();
        let stopped = scene.publish(&format!("{name} --subject rows.a"));
        stopped.failed(1, wanted);
        stopped.failed(1, "stopped at row 3; --skip 2 goes on from there");
        assert_eq!(
            streams::count(&scene.bus, "ROWS").await.unwrap(),
            before + 2,
            "what came before it is stored"
        );
    }
    scene.file("cells.csv", "a,b\n1,1\n2,2\n3,3\n4,4\n");
    let rest = scene.publish("cells.csv --subject rows.a --skip 2").done();
    assert!(rest.stderr.contains("2 rows published"), "{}", rest.stderr);

    scene.file("cut.csv.gz", &GZIPPED[..30]);
    scene.publish("cut.csv.gz --subject rows.a").failed(1, "reading failed");
    scene.file("twice.csv", "a,a\n1,2\n");
    scene.publish("twice.csv --subject rows.a").failed(1, "names \"a\" twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_stream_keeps_are_an_error_unless_that_is_wanted() {
    let scene = Scene::new().await;
    scene.file("rows.csv", "n\n1\n");
    scene.publish("rows.csv --subject nobody.a").failed(1, "row 1");
    scene.publish("rows.csv --subject rows.a --stream OTHER").failed(1, "OTHER");
    scene.publish("rows.csv --subject nobody.a --stream ROWS").failed(1, "stores rows.>, not nobody.a");
    let sent = scene.publish("rows.csv --subject nobody.a --core").done();
    assert!(sent.stderr.contains("1 row published to nobody.a"), "{}", sent.stderr);

    // A declared stream is made, whichever of `run` and `publish` comes first.
    scene.file("wasmill.toml", "[[streams]]\nname = \"MADE\"\nsubjects = [\"made.>\"]\n");
    scene.publish("rows.csv --subject made.{n} --stream MADE").done();
    assert_eq!(streams::count(&scene.bus, "MADE").await.unwrap(), 1);
}
