//! Short runs of wasmill-chaos: real engines and servers, faults at random, and the checker's verdict. `cargo xtask chaos`
//! does the same at every point and many times over.

use std::process::Command;

use wasmill_tests::checker::client::{Client, StreamPlan};
use wasmill_tests::nats::NatsServer;

/// Runs it with the parts that these tests use, and fails with all that it said unless everything was valid.
pub fn is_valid(arguments: &str) {
    let ran = Command::new(env!("CARGO_BIN_EXE_wasmill-chaos"))
        .args(arguments.split_whitespace())
        .output()
        .expect("wasmill-chaos starts");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "wasmill-chaos {arguments}: {}\n{said}", ran.status);
    assert!(said.contains("| all "), "a run ends with its table:\n{said}");
}

#[test]
fn a_kill_at_a_random_moment_loses_and_repeats_nothing() {
    is_valid("--points kill,swap-kill --trials 2 --jobs 2 --seed 1");
}

#[test]
fn broken_connections_lose_and_repeat_nothing() {
    is_valid("--points cut,hole-to-server,hole-to-client,bytewise --trials 1 --jobs 2 --seed 2");
}

#[test]
fn an_engine_that_wakes_up_late_repeats_nothing() {
    is_valid("--points zombie,server-kill --trials 1 --jobs 2 --seed 3");
}

#[test]
fn engines_that_share_a_plugin_may_be_killed_and_frozen() {
    is_valid("--scenario engines --seconds 8 --seed 4");
}

#[test]
fn a_cluster_may_be_restarted_under_load() {
    is_valid("--scenario cluster --seconds 4 --seed 5");
}

#[test]
fn a_run_whose_fault_never_comes_is_no_proof() {
    // An ordinary engine has no failpoints: it lives on, and the trial must not pass.
    if cfg!(feature = "failpoints") {
        return;
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_wasmill-chaos"))
        .args(["--points", "stopping"])
        .output()
        .expect("wasmill-chaos starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("Void"), "{said}");
}

#[test]
fn the_checkers_client_reads_all_that_it_published() {
    const COUNT: usize = 20_000;
    let mut server = NatsServer::start().unwrap();
    let mut client = Client::connect(&[server.url()]).unwrap();
    client.create_stream(StreamPlan { name: "S", subjects: "s.>", replicas: 1 }).unwrap();
    let messages: Vec<_> = (0..COUNT).map(|id| (format!("id-{id}"), format!("payload {id}"))).collect();
    let sequences = client.publish("s.a", &messages, 512).unwrap();
    assert!(sequences.iter().copied().eq(1..=COUNT as u64));
    // Under the same ids nothing is stored again.
    assert_eq!(client.publish("s.a", &messages[..100], 7).unwrap(), sequences[..100]);
    client.publish("s.b", &[("other".to_owned(), String::new())], 1).unwrap();

    server.restart().unwrap();
    let read = client.read("S", "s.a").unwrap();
    assert_eq!(read.len(), COUNT);
    for (stored, (id, payload)) in read.iter().zip(&messages) {
        assert_eq!((stored.header("Nats-Msg-Id"), &stored.payload[..]), (&id[..], payload.as_bytes()));
    }
    assert!(read.iter().map(|stored| stored.sequence).eq(1..=COUNT as u64));
    assert_eq!(client.read("S", ">").unwrap().len(), COUNT + 1);
    assert!(client.read("S", "s.c").unwrap().is_empty());
}
