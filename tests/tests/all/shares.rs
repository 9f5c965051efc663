//! Plugins that all want more of the processor than there is.
//!
//! What they get is counted in events of a known cost, side by side in one run: how fast the machine is, and what else it
//! does meanwhile, makes no difference.

use std::sync::Arc;
use std::time::Duration;

use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus as _, StreamSpec};
use wasmill::message::Message;
use wasmill::status::PluginStatus;
use wasmill::subject::{Pattern, Subject};
use wasmill_tests::place::{Place, Running};

use crate::delivery::misbehaving;

/// A plugin each of whose events costs this much CPU time, or 2 ms more, and ends as a dead letter.
fn looping(top: &str, cpu_ms: u32, instances: u32) -> String {
    format!(
        "{top}\n[[subscribe]]\nstream = \"IN\"\nsubjects = [\"in\"]\n[retry]\nattempts = 1\nack_wait_ms = 600000\n\
         [breaker]\nfailures = 0\n[limits]\ncpu_ms = {cpu_ms}\nwall_ms = 600000\ninstances = {instances}\n[config]\nmode = \"endless-loop\"\n"
    )
}

fn ended(status: &PluginStatus) -> u64 {
    status.counters.dead_lettered
}

/// Starts two plugins, and when both are in service gives each as many events.
async fn side_by_side(place: &Place, manifests: [(&str, String); 2], events: usize) -> Running {
    let bus = MemoryBus::new();
    let stream = StreamSpec {
        name: "IN".into(),
        subjects: vec![Pattern::new("in").unwrap()],
        retention: wasmill::bus::Retention::Limits,
        duplicate_window: Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
        atomic: false,
    };
    bus.ensure_stream(&stream).await.unwrap();
    for (name, manifest) in &manifests {
        place.put(name, &misbehaving(), manifest).unwrap();
    }
    let running = place.start(Arc::clone(&bus) as _).await.unwrap();
    for (name, _) in &manifests {
        running.running(name, None).await.unwrap();
    }
    for _ in 0..events {
        bus.publish(Message::new(Subject::new("in").unwrap(), "x")).await.unwrap();
    }
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_get_processor_time_by_weight() {
    let place = Place::new().unwrap();
    let manifests = [("heavy", looping("weight = 300", 2, 0)), ("light", looping("weight = 100", 2, 0))];
    let running = side_by_side(&place, manifests, 1_000).await;
    let heavy = running.until("heavy", "through with 600", |status| ended(status) >= 600).await.unwrap();
    let light = running.until("light", "there", |_| true).await.unwrap();
    let ratio = ended(&heavy) as f64 / ended(&light) as f64;
    assert!((2.0..4.5).contains(&ratio), "three to one, not {} to {}", ended(&heavy), ended(&light));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_looping_instances_get_no_more_than_their_neighbour() {
    let place = Place::new().unwrap();
    let manifests = [("hog", looping("", 100, 64)), ("neighbour", looping("", 2, 0))];
    let running = side_by_side(&place, manifests, 1_000).await;
    // As much CPU time makes 25 to 50 events of the neighbour's for one of the hog's; shared by thread it would be one or two.
    let neighbour =
        running.until("neighbour", "through with 600", |status| ended(status) >= 600).await.unwrap();
    let hog = running.until("hog", "there", |_| true).await.unwrap();
    let ratio = ended(&neighbour) as f64 / ended(&hog).max(1) as f64;
    assert!(ratio > 12.0, "25 to one, not {} to {}", ended(&neighbour), ended(&hog));
}
