//! What one call costs: natively, into a used instance, into a fresh one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::json;
use wasmill::artifact::Artifact;
use wasmill::digest::Digest;
use wasmill::event::Event;
use wasmill::limits::Limits;
use wasmill::lookup::NoTables;
use wasmill::manifest::{Isolation, PluginName};
use wasmill::sandbox::{LoadSpec, LogSink, Sandbox};
use wasmill_tests::{guests, parts};

use crate::native;

/// Calls in one batch; the median of the batches is told.
const BATCH: u32 = 2_000;
const BATCHES: usize = 25;

/// An event of about 300 bytes with three headers.
pub fn payment(amount: f64) -> Event {
    let data = json!({
        "tx_id": 123_456, "time": "2018-04-01 07:12:33", "customer_id": 4_711, "terminal_id": 9_001,
        "amount": amount, "currency": "EUR", "merchant": {"name": "Corner Shop", "category": "grocery", "city": "Bruges"},
        "card": {"scheme": "debit", "country": "BE", "last4": "4242"}, "channel": "pos", "note": "two lines of goods",
    });
    Event {
        id: "PAYMENTS:123456".into(),
        source: "nats:PAYMENTS".into(),
        kind: "payment.card".into(),
        subject: "payments.card".into(),
        time_ns: 1_522_566_753_000_000_000,
        key: None,
        headers: ["traceparent", "content-type", "x-tenant"]
            .map(|name| (name.into(), "application/json".into()))
            .into(),
        data: Bytes::from(data.to_string()),
        attempt: 1,
        reply_to: None,
        hops: 0,
    }
}

pub async fn run() -> Result<()> {
    let temp = tempfile::tempdir()?;
    let sandbox = Sandbox::new(parts::wasmill()?, temp.path().join("compiled"))?;
    let silent: LogSink = Arc::new(|_| {});
    let amount = std::fs::read(parts::plugin("amount-threshold")?)?;
    let no_op = guests::no_op()?;
    let rule = json!({"field": "amount", "threshold": 220, "output": "alerts.card.large-amount"});
    let nothing = json!({});
    let event = payment(300.0);

    let rule_natively = measure(|| {
        black_box(native::amount_rule(black_box(&event.data), 220.0));
        Ok(())
    })?;
    println!(
        "one call, ns (median of {BATCHES} batches of {BATCH}; an event of {} bytes)\n",
        event.data.len()
    );
    println!("{:<44}{:>10}{:>14}", "", "ns", "× native rule");
    row("native: amount rule", rule_natively, rule_natively);
    for (what, component, config) in [("no-op", &no_op, nothing), ("amount rule", &amount, rule)] {
        for isolation in [Isolation::Reuse, Isolation::Fresh] {
            let spec = LoadSpec {
                artifact: Artifact::Wasm,
                kind: wasmill::manifest::Kind::Plugin,
                name: PluginName::new("bench")?,
                digest: Digest::of(component),
                limits: Limits::default(),
                isolation,
                weight: wasmill::limits::DEFAULT_WEIGHT,
                emit: wasmill::manifest::Emit::default(),
                config: config.as_object().cloned().unwrap_or_default(),
                lookup: Arc::new(NoTables),
            };
            let prepared = sandbox.load(component, &spec, Arc::clone(&silent)).await?;
            let mut caller = sandbox.caller(prepared, Arc::clone(&silent));
            let name = if isolation == Isolation::Reuse { "reuse" } else { "fresh" };
            let ns = measure(|| {
                caller
                    .call(&event)
                    .map(black_box)
                    .map(|_| ())
                    .map_err(|cut| cut.failure)
                    .with_context(|| format!("{what}, {name}"))
            })?;
            row(&format!("sandbox, {name}: {what}"), ns, rule_natively);
        }
    }
    println!();
    Ok(())
}

fn row(what: &str, ns: f64, native: f64) {
    println!("{what:<44}{ns:>10.0}{:>14.1}", ns / native);
}

fn measure(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut batches = Vec::with_capacity(BATCHES);
    // The first batch warms up and is not counted.
    for batch in 0..=BATCHES {
        let started = Instant::now();
        for _ in 0..BATCH {
            call()?;
        }
        if batch > 0 {
            batches.push(started.elapsed().as_nanos() as f64 / f64::from(BATCH));
        }
    }
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().context("no batches")
}
