//! The auction stream, in the order that it arrives in.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use serde_json::Value;
use wasmill_sdk::testing::Delivery;

/// 2026-01-01T00:00:00Z, ms since the Unix epoch.
pub const BASE_MS: u64 = 1_767_225_600_000;
/// Events in a second: 12,000 events are two minutes.
const RATE: usize = 100;
/// Of this many events one is late, where some are.
const LATE_ONE_IN: u64 = 20;

/// One event as it arrives.
pub struct Arrival {
    pub event: Event,
    pub time_ms: u64,
}

impl Arrival {
    /// As the plugin of this key gets it.
    pub fn keyed(&self, key: usize, data: Value) -> (u64, Delivery) {
        keyed(&key.to_string(), self.time_ms, data)
    }
}

/// An event of this key and time, and its time in ns since the Unix epoch.
pub fn keyed(key: &str, time_ms: u64, data: Value) -> (u64, Delivery) {
    let time = time_ms * 1_000_000;
    (time, Delivery::json(data).key(key).time(time))
}

/// Numbers that look random and are always the same (SplitMix64, Steele, Lea, Flood 2014).
fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % below
    }
}

/// So many events, each up to `disorder_ms` out of order, and one in twenty up to `latest_ms` more.
pub fn arrivals(events: usize, disorder_ms: u64, latest_ms: u64) -> Vec<Arrival> {
    let config =
        NexmarkConfig { base_time: BASE_MS, first_rate: RATE, next_rate: RATE, ..Default::default() };
    let mut draw = draws(5);
    let mut arrivals: Vec<(u64, Arrival)> = EventGenerator::new(config)
        .take(events)
        .map(|event| {
            let time_ms = event.timestamp();
            let late = if draw(LATE_ONE_IN) == 0 { draw(latest_ms + 1) } else { 0 };
            (time_ms + draw(disorder_ms + 1) + late, Arrival { event, time_ms })
        })
        .collect();
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    arrivals.into_iter().map(|(_, arrival)| arrival).collect()
}
