//! Plugins with a key on a real server: state that changes once per event, timers that fire once, outputs in order.

mod account;
mod chaos;
mod order;
mod owners;
mod redrives;
mod state;
mod swaps;
mod timers;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Running};
use wasmill_tests::{parts, streams};

use crate::delivery::bus;

pub const MANIFEST: &str = r#"
key = { token = 2 }
[[subscribe]]
stream = "IN"
subjects = ["in.*"]
[emit]
subjects = ["out"]
[retry]
attempts = 3
first_delay_ms = 10
[state]
lease_ms = 1000
"#;

pub fn keyed() -> Vec<u8> {
    std::fs::read(parts::test_keyed().unwrap()).unwrap()
}

/// A server with the streams IN and OUT, and a place for an engine.
pub struct Scene {
    pub server: NatsServer,
    pub jetstream: async_nats::jetstream::Context,
    pub place: Place,
}

pub async fn scene() -> Scene {
    let server = NatsServer::start().unwrap();
    let jetstream = streams::connect(&server.url()).await.unwrap();
    streams::create(&jetstream, "IN", "in.>").await.unwrap();
    streams::create(&jetstream, "OUT", "out").await.unwrap();
    let place = Place::new().unwrap();
    place.put("ledger", &keyed(), MANIFEST).unwrap();
    Scene { server, jetstream, place }
}

impl Scene {
    pub async fn start(&self) -> Running {
        self.place.start(bus(&self.server).await).await.unwrap()
    }

    /// Publishes what a key's handler is to do.
    pub async fn order(&self, key: &str, orders: Value) {
        let payload = Bytes::from(orders.to_string());
        streams::publish(&self.jetstream, &format!("in.{key}"), [payload]).await.unwrap();
    }

    /// What the outputs say, by key, in the order of the stream.
    pub async fn said(&self) -> BTreeMap<String, Vec<Value>> {
        let mut said = BTreeMap::<String, Vec<Value>>::new();
        for stored in streams::read(&self.jetstream, "OUT").await.unwrap() {
            let mut words: Vec<Value> = serde_json::from_slice(&stored.payload).unwrap();
            let about = words.remove(0);
            let key = about.as_str().or_else(|| about[0].as_str()).unwrap().to_owned();
            said.entry(key).or_default().push(words.into());
        }
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_counts_its_own_events_in_order() {
    let scene = scene().await;
    for round in 0..40 {
        for key in 0..25 {
            scene
                .order(
                    &format!("k{key}"),
                    json!([["add", 1], ["get", "count"], ["set", "round", round.to_string()]]),
                )
                .await;
        }
    }
    let running = scene.start().await;
    running.ended("ledger", 1_000).await.unwrap();
    let said = scene.said().await;
    assert_eq!(said.len(), 25);
    for (key, words) in said {
        let counts: Vec<_> = words.iter().map(|words| words[1].as_str().unwrap().to_owned()).collect();
        let wanted: Vec<_> = (1..=40).map(|count: u32| count.to_string()).collect();
        assert_eq!(counts, wanted, "{key}");
    }
}
