//! Components made for wasmCloud: they export `wasmcloud:messaging/handler@0.2.0` and publish through an import. The
//! border is `engine/wit/deps/wasmcloud-messaging.wit`.
//!
//! What such a handler publishes is held until it answers ok, and then goes the way of any plugin's outputs: all of it takes
//! effect together, or nothing does.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, Instance, Lift, Linker, Lower, TypedFunc,
};
use wasmtime::{Store, StoreContextMut};

use super::LoadError;
use super::entry::shape;
use super::host::{CallState, refuse};
use crate::effects::{self, Proposed};
use crate::event::Event;
use crate::limits::Limits;
use crate::manifest::Emit;
use crate::outcome::Failure;

/// Begins the names of all interfaces of the package.
pub(super) const PACKAGE: &str = "wasmcloud:messaging/";
/// The export that such a component has.
pub(super) const HANDLER: &str = "wasmcloud:messaging/handler@0.2.0";
/// The import through which it publishes.
pub(super) const CONSUMER: &str = "wasmcloud:messaging/consumer@0.2.0";

/// What a handler hears that asks for an answer.
const NO_REQUESTS: &str = "requests are not available to plugins: what a handler publishes leaves when it has returned, \
                           so that no answer could come before\n  hint: publish the question, and subscribe to the answers";
/// What a handler hears that wants an answer to what it publishes.
const NO_REPLY_TO: &str = "an output cannot carry a reply subject: it is stored in a stream, where nobody waits for an answer\n  \
                           hint: put the subject into the body";
/// What a component hears that publishes while it is made.
const NO_EVENT: &str = "nothing can be published but in the course of an event";

/// `broker-message` of the package, borrowed on its way into a guest.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Received<'a> {
    subject: &'a str,
    body: &'a [u8],
    #[component(name = "reply-to")]
    reply_to: Option<&'a str>,
}

/// `broker-message` of the package, come from a guest.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Published {
    subject: String,
    body: Vec<u8>,
    #[component(name = "reply-to")]
    reply_to: Option<String>,
}

type Answer = (Result<(), String>,);

/// What a handler has published so far.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Where the event's publisher waits for an answer.
    reply_to: Option<String>,
    held: Vec<Proposed>,
    bytes: usize,
}

impl Outbox {
    fn new(reply_to: Option<String>) -> Self {
        Self { reply_to, held: Vec::new(), bytes: 0 }
    }

    /// Holds one more, unless the engine would refuse it later: a handler can still do something about it now.
    fn hold(&mut self, published: Published, emit: &Emit, limits: &Limits) -> Result<(), String> {
        if published.reply_to.is_some_and(|subject| !subject.is_empty()) {
            return Err(NO_REPLY_TO.to_owned());
        }
        let index = self.held.len();
        if index >= limits.outputs as usize {
            return Err(Failure::OutputCount { count: index + 1, limit: limits.outputs }.to_string());
        }
        let bytes = published.subject.len() + published.body.len();
        let limit = limits.output_bytes as usize;
        if bytes > limit {
            return Err(Failure::OutputSize { index, bytes, limit }.to_string());
        }
        let (together, limit) = (self.bytes + bytes, limits.event_bytes as usize);
        if together > limit {
            return Err(Failure::EventSize { bytes: together, limit }.to_string());
        }
        let granted = effects::granted(emit, self.reply_to.as_deref(), index, published.subject);
        let subject = granted.map_err(|failure| failure.to_string())?.subject.into();
        self.bytes = together;
        self.held.push(Proposed { subject, data: published.body, ..Proposed::default() });
        Ok(())
    }
}

/// The exported `handle-message` of a component.
pub(super) struct Handler(ComponentExportIndex);

impl Handler {
    /// Finds it; none if the component exports no handler of this package at all.
    pub fn find(component: &Component) -> Result<Option<Self>, LoadError> {
        let exports = shape(component).exports;
        let Some(found) = exports.iter().find(|name| name.starts_with("wasmcloud:messaging/handler@")) else {
            return Ok(None);
        };
        if !found.starts_with("wasmcloud:messaging/handler@0.2.") {
            return Err(LoadError::World(format!(
                "the component exports {found}, this engine serves {HANDLER}"
            )));
        }
        let Some((ComponentItem::ComponentInstance(_), interface)) = component.get_export(None, found) else {
            return Err(LoadError::World(format!("export {found} is no interface")));
        };
        let function = component.get_export_index(Some(&interface), "handle-message");
        let function = function
            .ok_or_else(|| LoadError::World(format!("export {HANDLER} has no function `handle-message`")))?;
        Ok(Some(Self(function)))
    }

    /// Checks its type.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), String> {
        self.typed(store, instance).map(|_| ()).map_err(|err| format!("{err:#}"))
    }

    /// Calls it. An inner error is in the handler's own words.
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        event: &Event,
    ) -> wasmtime::Result<Result<Vec<Proposed>, String>> {
        let function = self.typed(store, instance)?;
        let message =
            Received { subject: &event.subject, body: &event.data, reply_to: event.reply_to.as_deref() };
        store.data_mut().outbox = Some(Outbox::new(event.reply_to.clone()));
        let answer = function.call(&mut *store, (message,));
        let outbox = store.data_mut().outbox.take();
        let (answer,) = answer?;
        Ok(answer.map(|()| outbox.map(|outbox| outbox.held).unwrap_or_default()))
    }

    fn typed<'a>(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<TypedFunc<(Received<'a>,), Answer>> {
        let function = instance
            .get_func(&mut *store, self.0)
            .ok_or_else(|| wasmtime::Error::msg("export `handle-message` is no function"))?;
        function.typed(&*store)
    }
}

/// Links what such a component may ask for.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut consumer = linker.instance(CONSUMER)?;
    consumer.func_wrap(
        "publish",
        |mut store: StoreContextMut<'_, CallState>, (message,): (Published,)| {
            let state = store.data_mut();
            state.enter()?;
            Ok((publish(state, message)?,))
        },
    )?;
    consumer.func_wrap("request", |mut store: StoreContextMut<'_, CallState>, _: (String, Vec<u8>, u32)| {
        store.data_mut().enter()?;
        Ok((Err::<Received<'static>, _>(NO_REQUESTS.to_owned()),))
    })
}

/// A refusal goes to the handler, which may pass over it: so the log has it too.
fn publish(state: &mut CallState, message: Published) -> wasmtime::Result<Result<(), String>> {
    let shared = &state.shared;
    let held = match &mut state.outbox {
        Some(outbox) => outbox.hold(message, &shared.emit, &shared.limits),
        None => Err(NO_EVENT.to_owned()),
    };
    if let Err(why) = &held {
        let line = format!("publish refused: {why}");
        state.log.line(tracing::Level::WARN, line, Vec::new()).map_err(refuse)?;
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Pattern;

    fn message(subject: &str, bytes: usize) -> Published {
        Published { subject: subject.to_owned(), body: vec![0; bytes], reply_to: None }
    }

    #[test]
    fn what_would_be_refused_later_is_refused_at_once_and_takes_no_room() {
        let emit = Emit { subjects: vec![Pattern::new("alerts.>").unwrap()], reply: true, ..Emit::default() };
        let limits = Limits { outputs: 3, output_bytes: 100, event_bytes: 150, ..Limits::default() };
        let mut outbox = Outbox::new(Some("_INBOX.x".to_owned()));
        let with_reply =
            |subject: &str| Published { reply_to: Some(subject.to_owned()), ..message("alerts.a", 0) };
        for (message, refusal) in [
            (message("alerts.a", 80), None),
            (message("orders.a", 0), Some("is not granted")),
            (message("alerts.*", 0), Some("wildcard")),
            (message("$JS.API.STREAM.DELETE.X", 0), Some("reserved")),
            (message("_INBOX.y", 0), Some("reserved")),
            (message("alerts.a", 93), Some("limits.output_bytes")),
            (message("alerts.a", 60), Some("limits.event_bytes")),
            (with_reply("_INBOX.y"), Some("reply subject")),
            (with_reply(""), None),
            (message("_INBOX.x", 0), None),
            (message("alerts.a", 0), Some("limits.outputs")),
        ] {
            let subject = message.subject.clone();
            let told = outbox.hold(message, &emit, &limits).err();
            match refusal {
                None => assert_eq!(told, None, "{subject}"),
                Some(refusal) => {
                    assert!(told.as_deref().unwrap_or_default().contains(refusal), "{subject}: {told:?}")
                }
            }
        }
        assert_eq!((outbox.held.len(), outbox.bytes), (3, 88 + 8 + 8));
    }
}
