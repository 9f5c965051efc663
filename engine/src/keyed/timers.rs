//! Timers as far as they are like events: what their outputs come of, and what becomes of one that fails for good.

use bytes::Bytes;

use crate::event::{Event, Origin};
use crate::key;
use crate::manifest::PluginName;
use crate::message::Message;
use crate::state::Timer;
use crate::subject::Subject;

/// The type of the event that a timer is.
const TYPE: &str = "wasmill.timer";
/// The subject of a dead letter's event that was a timer: this, the plugin, and the key.
const SUBJECT_PREFIX: &str = "wasmill.timer";
/// The timer's name, on such an event.
const NAME_HEADER: &str = "Wasmill-Timer";

/// Names one setting of a timer as the ids of its outputs do. The number of the setting alone would not do: a key that was
/// forgotten begins to count anew.
pub(super) fn input(key: &str, timer: &Timer) -> String {
    format!("timer:{}:{:x}:{}", key::escape(key), timer.due_ns, timer.setting)
}

/// The timer as the event that caused its outputs.
pub(super) fn event(plugin: &PluginName, key: &str, name: &str, timer: &Timer) -> Event {
    Event {
        id: input(key, timer),
        source: format!("/wasmill/{plugin}"),
        kind: TYPE.to_owned(),
        subject: format!("{SUBJECT_PREFIX}.{plugin}.{}", key::escape(key)),
        time_ns: timer.due_ns,
        key: Some(key.to_owned()),
        headers: vec![(NAME_HEADER.to_owned(), name.to_owned())],
        data: timer.data.clone(),
        attempt: 1,
        reply_to: None,
        hops: 0,
    }
}

/// The timer as the message that its dead letter holds, and what that is taken for.
pub(super) fn message(event: &Event) -> (Message, Origin) {
    let mut message = Message::new(Subject::received(event.subject.clone()), Bytes::clone(&event.data));
    for (name, value) in &event.headers {
        let value = crate::event::encode_attribute(value);
        message.headers.push_received(name.clone(), value);
    }
    let origin = Origin {
        id: event.id.clone(),
        source: event.source.clone(),
        time_ns: event.time_ns,
        attempt: event.attempt,
    };
    (message, origin)
}
