//! A plugin that keeps account of its events, engines that run it, and the audit at the end.

use std::time::Duration;

use wasmill::supervisor::Engine;
use wasmill_tests::checker::findings::Findings;
use wasmill_tests::checker::ledger::scene::{self, PLUGIN};
use wasmill_tests::checker::ledger::{Entry, Fails};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Running};

use crate::delivery::bus;

/// A server with the streams of the ledger.
pub struct Ledger {
    pub server: NatsServer,
    pub scene: scene::Scene,
    manifest: String,
}

impl Ledger {
    /// With more of the manifest's table `state`.
    pub fn new(state: &str) -> Self {
        let server = NatsServer::start().unwrap();
        let scene = scene::Scene::new(&server.url()).unwrap();
        Self { server, scene, manifest: scene::manifest(state) }
    }

    /// Another lease than the shortest there is.
    pub fn with_lease_ms(mut self, lease_ms: u64) -> Self {
        self.manifest = self.manifest.replace("lease_ms = 1000", &format!("lease_ms = {lease_ms}"));
        self
    }

    /// Directories for one engine.
    pub fn place(&self) -> Place {
        let place = Place::new().unwrap();
        place.put(PLUGIN, &scene::version(1_000).unwrap(), &self.manifest).unwrap();
        place
    }

    /// An engine in this process.
    pub async fn start(&self, place: &Place) -> Running {
        place.start(bus(&self.server).await).await.unwrap()
    }

    pub fn publish(&mut self, entries: &[Entry]) {
        self.scene.publish(entries).unwrap();
    }

    /// Waits until all is there.
    pub fn done(&mut self) {
        assert!(
            self.scene.wait_until_done().unwrap(),
            "nothing comes any more: {}",
            self.scene.audit().unwrap()
        );
    }

    /// Compares; no engine may live any more.
    pub fn audit(&mut self) -> Findings {
        let findings = self.scene.audit().unwrap();
        assert_eq!(findings.faults(), 0, "{findings}");
        findings
    }
}

pub async fn stop(engine: &Engine) {
    assert!(engine.stop(Duration::from_secs(60)).await);
}

/// Events that are counted, from a number on, one after the other for each of so many keys.
pub fn entries(from: u64, count: u64, keys: u64) -> Vec<Entry> {
    let entry = |n| Entry { n, key: format!("k.{}", n % keys), outputs: 1, ..Entry::default() };
    (from..from + count).map(entry).collect()
}

/// The same, but some fail now and then, and some are rejected.
pub fn failing(from: u64, count: u64, keys: u64) -> Vec<Entry> {
    let fails = |n: u64| match n % 16 {
        5 => Some(Fails::Retry),
        9 => Some(Fails::Trap),
        13 => Some(Fails::Reject),
        _ => None,
    };
    let change =
        |entry: Entry| Entry { fails: fails(entry.n), until: 3, outputs: (entry.n % 3) as u32, ..entry };
    entries(from, count, keys).into_iter().map(change).collect()
}
