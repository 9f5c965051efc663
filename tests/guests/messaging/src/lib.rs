//! A component that knows nothing of this engine: it exports `wasmcloud:messaging/handler@0.2.0` and carries the imports that
//! such components usually have. The last token of the message's subject says what it does.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::panic, clippy::print_stdout, reason = "this is what its handlers do to be watched")]

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    reason = "generated from the WIT, which documents every item"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../engine/wit", world: "wasmill:compat/messaging", generate_all });
}

use bindings::exports::wasmcloud::messaging::handler::Guest;
use bindings::wasi::config0_2_0_draft::{runtime, store};
use bindings::wasi::config0_2_0_rc_1::store as store_rc;
use bindings::wasmcloud::messaging::consumer;
use bindings::wasmcloud::messaging::types::BrokerMessage;
use serde_json::json;

struct Messaging;

impl Guest for Messaging {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        let wanted = message.subject.rsplit('.').next().unwrap_or_default();
        match wanted {
            "pass" => publish("alerts.passed", message.body),
            "two" => {
                publish("alerts.first", message.body)?;
                publish("alerts.second", *b"2")
            }
            "none" => Ok(()),
            "fail" => {
                publish("alerts.never", message.body)?;
                Err("the till is shut: ü".to_owned())
            }
            "trap" => {
                publish("alerts.never", message.body)?;
                panic!("after publishing")
            }
            "strict" => publish("orders.forbidden", message.body),
            "lenient" => tell(publish("orders.forbidden", message.body)),
            "reserved" => tell(publish("$JS.API.STREAM.DELETE.ALERTS", message.body)),
            "request" => tell(consumer::request("prices.get", &message.body, 100).map(|_| ())),
            "reply-to" => tell(consumer::publish(&BrokerMessage {
                subject: "alerts.a".to_owned(),
                body: message.body,
                reply_to: Some("alerts.answers".to_owned()),
            })),
            "answer" => match message.reply_to {
                Some(subject) => publish(&subject, message.body),
                None => Err("nobody waits for an answer".to_owned()),
            },
            "flood" => loop {
                publish("alerts.flood", message.body.clone())?;
            },
            "log" => {
                log();
                Ok(())
            }
            "surroundings" => publish("alerts.told", surroundings().to_string()),
            other => Err(format!("there is no handler {other:?}")),
        }
    }
}

fn publish(subject: &str, body: impl Into<Vec<u8>>) -> Result<(), String> {
    consumer::publish(&BrokerMessage { subject: subject.to_owned(), body: body.into(), reply_to: None })
}

/// Publishes how something ended.
fn tell(ended: Result<(), String>) -> Result<(), String> {
    publish("alerts.told", ended.err().unwrap_or_else(|| "nothing was refused".to_owned()))
}

fn log() {
    use bindings::wasi::logging::logging as unversioned;
    use bindings::wasi::logging0_1_0_draft::logging as draft;
    draft::log(draft::Level::Warn, "till", "draft ü");
    draft::log(draft::Level::Critical, "", "critical");
    unversioned::log(unversioned::Level::Info, "till", "unversioned");
    println!("printed");
}

/// What it can see beside its message.
fn surroundings() -> serde_json::Value {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let started = std::time::Instant::now();
    json!({
        "runtime": runtime::get("limit").ok().flatten(),
        "store": store::get("limit").ok().flatten(),
        "rc": store_rc::get("limit").ok().flatten(),
        "missing": runtime::get("missing").ok().flatten(),
        "all": [runtime::get_all().ok(), store::get_all().ok(), store_rc::get_all().ok()],
        "variables": std::env::vars().count(),
        "arguments": std::env::args().count(),
        "file": std::fs::read("/etc/passwd").is_ok(),
        "folder": std::fs::read_dir(".").is_ok(),
        "socket": std::net::TcpStream::connect(("127.0.0.1", 4222)).is_ok(),
        "since_epoch_s": since_epoch.map(|since| since.as_secs()).unwrap_or_default(),
        "clock_moves": started.elapsed().as_nanos() > 0,
        // The standard library draws its keys from WASI.
        "random": std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1_u8),
    })
}

#[expect(unsafe_code, reason = "what the component exports is declared by generated code")]
mod export {
    use super::{Messaging, bindings};
    bindings::export!(Messaging with_types_in bindings);
}
