//! What a component may import, and what one is told that wants more.

use wasmtime::component::Component;

use super::contract::PACKAGE;
use super::entry::{Role, shape};
use super::script::SOURCE;
use super::{LoadError, drafts, messaging};

/// The packages of WASI 0.2, which the engine links with nothing behind them.
const WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// What other hosts give their components, and this engine gives no plugin: how a name begins, and what it asks for.
const NOT_GRANTED: [(&str, &str); 9] = [
    ("wasi:blobstore/", "an object store"),
    ("wasi:http/", "HTTP"),
    ("wasi:keyvalue/", "a key-value store"),
    ("wasi:messaging/", "a messaging draft of WASI; wasmcloud:messaging@0.2.0 is served in its place"),
    ("wasi:nn/", "machine learning models"),
    ("wasi:sql/", "a database"),
    ("wasmcloud:bus/", "the links of a wasmCloud lattice"),
    ("wasmcloud:postgres/", "a database"),
    ("wasmcloud:secrets/", "secrets"),
];

/// Checks that a component wants no more than there is. What fails beyond this is a matter of types.
pub(super) fn check(component: &Component, role: Role) -> Result<(), LoadError> {
    let names = shape(component).imports;
    let names: Vec<_> =
        names.iter().map(String::as_str).filter(|name| role != Role::Runner || *name != SOURCE).collect();
    let refused: Vec<_> = names.iter().filter_map(|name| not_granted(name)).collect();
    if !refused.is_empty() {
        return Err(LoadError::World(format!(
            "it imports what this engine does not grant: {}\n  hint: a plugin has its event, its [config], its log and the state of its \
             key; build the component without these imports",
            refused.join(", ")
        )));
    }
    names.iter().find_map(|name| fault(name)).map_or(Ok(()), |fault| Err(LoadError::World(fault)))
}

/// The import and what it asks for, if that is never granted.
fn not_granted(name: &str) -> Option<String> {
    let known = NOT_GRANTED.iter().find(|(begins, _)| name.starts_with(begins));
    if let Some((_, what)) = known {
        return Some(format!("{name} ({what})"));
    }
    let served = WASI.iter().any(|package| name.starts_with(package)) || drafts::serves(name);
    (name.starts_with("wasi:") && !served).then(|| name.to_owned())
}

fn fault(name: &str) -> Option<String> {
    let served = [(PACKAGE, "@0.1.", "0.1.0"), (messaging::PACKAGE, "@0.2.", "0.2.0")];
    if let Some((_, series, version)) = served.iter().find(|(package, ..)| name.starts_with(package)) {
        return (!name.contains(series))
            .then(|| format!("the component imports {name}, this engine serves version {version}"));
    }
    (!name.starts_with("wasi:")).then(|| {
        format!(
            "import {name} is unknown; an engine serves {PACKAGE}{{log,clock,config,random,state,timer-control,lookup}}@0.1.0 and, \
             without files, environment or network, WASI 0.2"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_served_or_named() {
        for name in [
            "wasmill:plugin/log@0.1.0",
            "wasmill:plugin/state@0.1.0",
            "wasmcloud:messaging/consumer@0.2.0",
            "wasmcloud:messaging/types@0.2.1",
            "wasi:cli/environment@0.2.6",
            "wasi:logging/logging",
            "wasi:logging/logging@0.1.0-draft",
            "wasi:config/store@0.2.0-rc.1",
        ] {
            assert_eq!((not_granted(name), fault(name)), (None, None), "{name}");
        }
        for (name, told) in [
            ("wasi:keyvalue/atomics@0.2.0-draft", "wasi:keyvalue/atomics@0.2.0-draft (a key-value store)"),
            ("wasi:http/outgoing-handler@0.2.0", "wasi:http/outgoing-handler@0.2.0 (HTTP)"),
            ("wasi:config/store@0.3.0", "wasi:config/store@0.3.0"),
            ("wasi:unheard/of@1.0.0", "wasi:unheard/of@1.0.0"),
        ] {
            assert_eq!(not_granted(name).as_deref(), Some(told));
        }
        for (name, told) in [
            ("wasmcloud:messaging/consumer@0.3.0", "this engine serves version 0.2.0"),
            ("wasmill:plugin/log@0.2.0", "this engine serves version 0.1.0"),
            ("wasmill:runner/source@0.1.0", "is unknown"),
            ("acme:database/query@1.0.0", "is unknown"),
        ] {
            assert!(fault(name).unwrap().contains(told), "{name}");
        }
    }
}
