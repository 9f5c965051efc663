//! The plugin: its script, and what a version of it says of itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use wasmill::effects::Proposed;
use wasmill::event::Event;
use wasmill::manifest::Manifest;
use wasmill::outcome::{Failure, Handled};
use wasmill::subject::SubjectError;
use wasmill::unkeyed::{Handler, Version};

use super::super::plugin::{emitter, manifest};
use super::World;
use super::ledger::{Cause, cause_of};
use super::life::Life;
use super::script::{Input, Kind};

/// What an event's message carries.
pub(super) fn payload(kind: Kind, input: u64) -> Bytes {
    match kind {
        Kind::Malformed => Bytes::from("no envelope"),
        _ => Bytes::from(input.to_string()),
    }
}

/// A version of the plugin for one engine.
pub(super) fn version(
    world: &Arc<World>,
    life: &Arc<Life>,
    number: u32,
    concurrency: u32,
) -> Result<Version, SubjectError> {
    let plan = &world.plan;
    let manifest =
        Manifest { breaker: plan.breaker.clone(), ..manifest(concurrency, &plan.retry, plan.pace)? };
    let handler = Scripted { world: Arc::clone(world), life: Arc::clone(life), version: number };
    Ok(Version { handler: Box::new(handler), manifest: Arc::new(manifest), emitter: emitter(number) })
}

struct Scripted {
    world: Arc<World>,
    life: Arc<Life>,
    version: u32,
}

impl Handler for Scripted {
    fn handle(&self, event: Arc<Event>) -> BoxFuture<'_, Handled> {
        async move {
            self.life.breathe(&self.world).await;
            let input = std::str::from_utf8(&event.data).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            let attempt = event.attempt;
            self.world.note(self.life.number, input, "called, in attempt", u64::from(attempt));
            let _at_work = self.life.at_work(&self.world);
            let Some(script) = self.world.plan.input(input) else {
                return handled(Err(Failure::Rejected("an event that nobody sent".into())));
            };
            if script.takes > Duration::ZERO {
                tokio::time::sleep(script.takes).await;
            }
            self.life.breathe(&self.world).await;
            let answer = answer(script, input, attempt, self.version);
            let told = if answer.is_ok() { Ok(()) } else { Err(cause_of(script.kind)) };
            let what = if answer.is_ok() { "answered well, in attempt" } else { "failed, in attempt" };
            self.world.note(self.life.number, input, what, u64::from(attempt));
            self.world.enter(|ledger, _| {
                if script.kind == Kind::Nowhere {
                    // The engine may find that out without trying.
                    ledger.caused((self.life.number, input, attempt), Cause::Failed("unstorable"));
                }
                ledger.answered(self.life.number, input, attempt, told);
                Ok(())
            });
            handled(answer)
        }
        .boxed()
    }
}

fn handled(answer: Result<Vec<Proposed>, Failure>) -> Handled {
    Handled { answer, took: Duration::ZERO, cpu: None, backtrace: None }
}

fn answer(script: &Input, input: u64, attempt: u32, version: u32) -> Result<Vec<Proposed>, Failure> {
    match script.kind {
        Kind::Rejected => return Err(Failure::Rejected("scripted".into())),
        Kind::RetryUntil(until, after) if attempt < until => {
            return Err(Failure::Retry { after, reason: "scripted".into() });
        }
        Kind::TrapUntil(until) if attempt < until => return Err(Failure::Trap("scripted".into())),
        Kind::LostUntil(until) if attempt < until => return Err(Failure::Engine("scripted".into())),
        _ => {}
    }
    let output = |index: u32| {
        // The last one is the bad one, so that the others are good when it is found.
        let bad = index + 1 == script.outputs;
        let turn = if script.together { 0 } else { u64::from(index) };
        let place = if (input + turn).is_multiple_of(2) { "out.a.x" } else { "out.b.x" };
        let subject = match script.kind {
            Kind::Nowhere if bad => "out.nowhere",
            Kind::NotGranted if bad => "elsewhere.x",
            _ => place,
        };
        let header = if bad && script.kind == Kind::BadHeader { "a\r\nb: c" } else { "plain" };
        Proposed {
            subject: subject.to_owned(),
            kind: None,
            headers: vec![("x-scripted".to_owned(), header.to_owned())],
            data: format!("{input}/{index}/{version}/{attempt}").into_bytes(),
        }
    };
    Ok((0..script.outputs).map(output).collect())
}
