//! Who we are to the server: every kind of identity, what happens with a wrong one, and that no secret shows.

use std::path::PathBuf;

use wasmill::bus::nats::{Secret, TlsSettings};
use wasmill::bus::{BusError, CoreSpec};
use wasmill_tests::nats::Options;

use super::*;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join("bus").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(data(name)).unwrap()
}

fn server(config: impl Into<String>) -> NatsServer {
    NatsServer::start_with(Options { config: config.into() }).unwrap()
}

fn tls_config(more: &str) -> String {
    let [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map(|name| data(name).display().to_string());
    format!("tls {{ ca_file: \"{ca}\", cert_file: \"{cert}\", key_file: \"{key}\", timeout: 5, {more} }}")
}

fn settings(server: &NatsServer) -> NatsSettings {
    NatsSettings::for_url(server.url())
}

/// It connects, and JetStream is there.
async fn assert_works(settings: NatsSettings) {
    let bus = soon(NatsBus::connect(settings)).await.unwrap();
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["x"]).await;
}

async fn refusal(settings: NatsSettings) -> BusError {
    match soon(NatsBus::connect(settings)).await {
        Ok(_) => panic!("it let us in"),
        Err(error) => error,
    }
}

const USER: &str = "authorization { user: alice, password: \"s3cret/word\" }";

#[tokio::test]
async fn user_and_password() {
    let server = server(USER);
    let alice = |password: &str| NatsSettings {
        user: Some("alice".into()),
        password: Some(Secret::new(password)),
        ..settings(&server)
    };
    assert_works(alice("s3cret/word")).await;
    assert_works(NatsSettings::for_url(server.url().replace("//", "//alice:s3cret%2Fword@"))).await;
    let in_url = server.url().replace("//", "//alice:hunter2@");
    for wrong in [settings(&server), alice("hunter2"), NatsSettings::for_url(in_url)] {
        let error = refusal(wrong).await;
        assert!(matches!(error, BusError::Refused { .. }), "{error}");
        let shown = error.to_string();
        assert!(
            shown.contains(&server.url()) && shown.contains("hint") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn token() {
    let server = server("authorization { token: s3cret }");
    assert_works(NatsSettings { token: Some(Secret::new("s3cret")), ..settings(&server) }).await;
    assert_works(NatsSettings::for_url(server.url().replace("//", "//s3cret@"))).await;
}

#[tokio::test]
async fn nkey() {
    let server = server(read("nkey.conf"));
    assert_works(NatsSettings { nkey: Some(data("user.nk")), ..settings(&server) }).await;
    let not_a_seed = NatsSettings { nkey: Some(data("ca.pem")), ..settings(&server) };
    assert!(matches!(refusal(not_a_seed).await, BusError::Settings(_)));
}

#[tokio::test]
async fn credentials_file() {
    let server = server(read("operator.conf"));
    assert_works(NatsSettings { creds: Some(data("user.creds")), ..settings(&server) }).await;
    let missing = NatsSettings { creds: Some(data("nobody.creds")), ..settings(&server) };
    let error = refusal(missing).await;
    assert!(matches!(&error, BusError::Settings(text) if text.contains("nobody.creds")), "{error}");
}

#[tokio::test]
async fn tls_with_certificates_on_both_sides() {
    let server = server(tls_config("verify: true"));
    let with = |tls: TlsSettings| NatsSettings { tls: Some(tls), ..settings(&server) };
    let ours = TlsSettings {
        ca: Some(data("ca.pem")),
        cert: Some(data("client.pem")),
        key: Some(data("client.key")),
        ..TlsSettings::default()
    };
    assert_works(with(ours.clone())).await;
    assert_works(NatsSettings { url: Some(server.url().replace("nats:", "tls:")), ..with(ours.clone()) })
        .await;
    let untrusting = with(TlsSettings { required: true, ..TlsSettings::default() });
    let error = refusal(untrusting).await;
    assert!(matches!(error, BusError::Disconnected { .. }), "{error}");
    let halved = with(TlsSettings { key: None, ..ours });
    assert!(matches!(refusal(halved).await, BusError::Settings(_)));
}

#[tokio::test]
async fn tls_before_the_greeting() {
    let server = server(tls_config("handshake_first: true"));
    let tls = TlsSettings { ca: Some(data("ca.pem")), first: true, ..TlsSettings::default() };
    assert_works(NatsSettings { tls: Some(tls), ..settings(&server) }).await;
}

#[tokio::test]
async fn an_unencrypted_server_is_refused_where_encryption_is_required() {
    let server = NatsServer::start().unwrap();
    let tls = TlsSettings { required: true, ca: Some(data("ca.pem")), ..TlsSettings::default() };
    let error = refusal(NatsSettings { tls: Some(tls), ..settings(&server) }).await;
    assert!(matches!(error, BusError::Disconnected { .. }), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_connection() {
    for url in ["", "http://somewhere", "nats://u:hunter2@h:notaport", "ws://somewhere"] {
        let error = refusal(NatsSettings::for_url(url)).await;
        assert!(matches!(error, BusError::Settings(_)) && !error.to_string().contains("hunter2"), "{error}");
    }
    let nobody_there = NatsSettings::for_url("nats://u:hunter2@127.0.0.1:1");
    let error = refusal(nobody_there).await;
    assert!(matches!(&error, BusError::Disconnected { url, .. } if url == "nats://127.0.0.1:1"), "{error}");
    assert!(error.to_string().contains("hint"), "{error}");
}

/// The folder of contexts comes from the environment, so this runs in a process of its own: see [`context_file`].
#[tokio::test]
#[ignore = "started by `context_file` with an environment of its own"]
async fn context_file_inner() {
    let url = std::env::var("WASMILL_TEST_URL").unwrap();
    let by_context = NatsSettings { context: Some("test".into()), ..NatsSettings::default() };
    assert_works(by_context.clone()).await;
    // What is said explicitly wins.
    let nowhere = NatsSettings { url: Some("nats://127.0.0.1:1".into()), ..by_context.clone() };
    assert!(matches!(refusal(nowhere).await, BusError::Disconnected { .. }));
    let stranger = NatsSettings { token: Some(Secret::new("x")), ..by_context.clone() };
    let error = refusal(stranger).await;
    assert!(matches!(&error, BusError::Refused { .. }) && error.to_string().contains(&url), "{error}");
    let missing = NatsSettings { context: Some("missing".into()), ..by_context };
    let error = refusal(missing).await;
    assert!(matches!(&error, BusError::Settings(text) if text.contains("missing.json")), "{error}");
}

#[tokio::test]
async fn context_file() {
    let server = server(USER);
    let folder = server.home().join("nats").join("context");
    std::fs::create_dir_all(&folder).unwrap();
    let context = serde_json::json!({
        "description": "for a test", "url": server.url(), "user": "alice", "password": "s3cret/word",
        "inbox_prefix": "_MINE", "color_scheme": "", "nsc": "",
    });
    std::fs::write(folder.join("test.json"), context.to_string()).unwrap();
    let inner = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "bus_conformance::identity::context_file_inner"])
        .env("XDG_CONFIG_HOME", server.home())
        .env("WASMILL_TEST_URL", server.url())
        .output();
    let output = soon(inner).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn what_permissions_deny_is_refused_by_name() {
    let server = server(
        "authorization { users = [ { user: bob, password: b, permissions: { publish: [\"_INBOX.>\", \"$JS.API.>\"], \
         subscribe: [\"_INBOX.>\"] } } ] }",
    );
    let bob = NatsSettings {
        user: Some("bob".into()),
        password: Some(Secret::new("b")),
        publish_ack_timeout_ms: 300,
        ..settings(&server)
    };
    let bus = soon(NatsBus::connect(bob)).await.unwrap();
    let spec = CoreSpec { subject: pattern("not.ours"), queue_group: None, buffer: 10 };
    let Err(error) = soon(bus.subscribe(&spec)).await else { panic!("it is not allowed") };
    assert!(matches!(&error, BusError::Refused { reason, .. } if reason.contains("not.ours")), "{error}");
    with_stream(&*bus).await;
    // The server drops a publish that is not allowed; that no answer comes is all there is to see of it.
    let error = soon(bus.publish(message("in.a", "x"))).await.unwrap_err();
    assert!(matches!(error, BusError::TimedOut { .. } | BusError::Refused { .. }), "{error}");
}
