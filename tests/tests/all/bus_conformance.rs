//! What every bus must do, run against the one in memory and against a real server; and what only a server can do.
//!
//! Nothing here asserts how long something takes: tests wait for what they need, and the order of what comes tells the
//! rest. The one bound, [`PATIENCE`], is there to turn a hang into a failure.

mod batches;
mod core;
mod durable;
mod following;
mod identity;
mod outages;
mod posting;
mod reading;
mod settling;
mod streams;
mod takeups;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wasmill::bus::memory::MemoryBus;
use wasmill::bus::nats::{NatsBus, NatsSettings};
use wasmill::bus::{Bus, Delivery, DurableSpec, Intake, Retention, Settlement, Start, StreamSpec};
use wasmill::message::Message;
use wasmill::subject::{Pattern, Subject};
use wasmill_tests::nats::NatsServer;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);
/// An ack wait that does not end during a test.
const LONG: Duration = Duration::from_secs(300);
/// How long a test looks at something that should not happen. Too short a look lets a fault pass, and fails nothing.
const LOOK: Duration = Duration::from_millis(150);

type AnyBus = Arc<dyn Bus>;

/// Makes two tests of each function: one against memory with the clock paused, one against a server of its own.
macro_rules! on_every_bus {
    ($($case:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $case() {
                super::$case(wasmill::bus::memory::MemoryBus::new()).await;
            })+
        }
        mod on_nats {
            $(#[tokio::test]
            async fn $case() {
                let (_server, bus) = $crate::bus_conformance::on_server().await;
                super::$case(bus).await;
            })+
        }
    };
}
use on_every_bus;

/// A server and a connection to it.
async fn on_server() -> (NatsServer, Arc<NatsBus>) {
    let server = NatsServer::start().unwrap();
    let bus = connect(&server).await;
    (server, bus)
}

async fn connect(server: &NatsServer) -> Arc<NatsBus> {
    soon(NatsBus::connect(NatsSettings::for_url(server.url()))).await.unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

fn message(subject: &str, payload: impl Into<String>) -> Message {
    Message::new(Subject::new(subject).unwrap(), payload.into())
}

fn with_id(subject: &str, id: &str) -> Message {
    let mut message = message(subject, id);
    message.headers.push("Nats-Msg-Id", id);
    message
}

/// A stream `S` of `in.>`.
fn stream() -> StreamSpec {
    StreamSpec {
        name: "S".into(),
        subjects: vec![pattern("in.>")],
        retention: Retention::Limits,
        duplicate_window: Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
        atomic: false,
    }
}

/// All of stream `S`, one by one as asked, with an ack wait that does not end.
fn durable() -> DurableSpec {
    DurableSpec {
        stream: "S".into(),
        durable: "d".into(),
        filters: vec![pattern("in.>")],
        start: Start::All,
        ack_wait: LONG,
        max_ack_pending: 1_000,
        prefetch: 100,
        prefetch_bytes: 1_000_000,
    }
}

async fn with_stream(bus: &dyn Bus) {
    soon(bus.ensure_stream(&stream())).await.unwrap();
}

async fn publish(bus: &dyn Bus, subject: &str, payloads: impl IntoIterator<Item = &str>) {
    for payload in payloads {
        soon(bus.publish(message(subject, payload))).await.unwrap();
    }
}

async fn next(intake: &mut Box<dyn Intake>) -> Delivery {
    soon(intake.next()).await.expect("the intake ended").unwrap()
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.payload.to_vec()).unwrap()
}

fn attempt(delivery: &Delivery) -> u32 {
    delivery.position.as_ref().unwrap().attempt
}

async fn settle(bus: &dyn Bus, delivery: &Delivery, settlement: Settlement) {
    soon(bus.settle(delivery.receipt.as_ref().unwrap(), settlement)).await.unwrap();
}

/// Takes and acks as many messages, and returns their payloads in the order in which they came.
async fn take(bus: &dyn Bus, intake: &mut Box<dyn Intake>, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let delivery = next(intake).await;
        settle(bus, &delivery, Settlement::Ack).await;
        taken.push(text(&delivery));
    }
    taken
}

/// Nothing comes for a while.
async fn assert_quiet(intake: &mut Box<dyn Intake>) {
    if let Ok(came) = tokio::time::timeout(LOOK, intake.next()).await {
        panic!("nothing was to come, but: {came:?}");
    }
}

#[tokio::test]
async fn a_closed_memory_bus_ends_its_intakes() {
    let bus = MemoryBus::new();
    with_stream(&*bus).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let (ended, closed) = tokio::join!(soon(intake.next()), soon(bus.close()));
    assert!(ended.is_none());
    closed.unwrap();
    assert!(bus.publish(message("in.a", "x")).await.unwrap_err().is_transient());
}
