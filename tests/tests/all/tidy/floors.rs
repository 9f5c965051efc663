//! The floors of the engine: imports go downward only, and each foreign world has one room.

use std::collections::BTreeSet;

use super::source::{begins_word, code};

/// The rooms of engine/src and their floors. A room is a file or folder there; a file of no room is a fault.
const FLOORS: &[(&str, u8)] = &[
    // Wiring: knows everything below.
    ("main", 4),
    ("lib", 4),
    ("cli", 4),
    ("config", 4),
    // Control plane.
    ("supervisor", 3),
    ("admin", 3),
    // Data plane.
    ("unkeyed", 2),
    ("keyed", 2),
    ("tables", 2),
    ("flow", 2),
    ("dead_letter", 2),
    // One foreign world each; they never know each other.
    ("bus", 1),
    ("faults", 1),
    ("sandbox", 1),
    ("plugin_dir", 1),
    ("kept", 1),
    ("telemetry", 1),
    // Pure.
    ("artifact", 0),
    ("breaker", 0),
    ("clock", 0),
    ("cycles", 0),
    ("digest", 0),
    ("effects", 0),
    ("event", 0),
    ("hint", 0),
    ("key", 0),
    ("limits", 0),
    ("lines", 0),
    ("lookup", 0),
    ("manifest", 0),
    ("message", 0),
    ("outcome", 0),
    ("plan", 0),
    ("progress", 0),
    ("record", 0),
    ("state", 0),
    ("status", 0),
    ("subject", 0),
];

/// Foreign crates and the one place that may name them, as the beginning of a path.
const ALONE: &[(&str, &str)] = &[
    ("async_nats", "bus/nats"),
    ("notify", "plugin_dir"),
    ("prometheus_client", "telemetry"),
    ("wasmtime", "sandbox"),
    ("wasmtime_wasi", "sandbox"),
];

/// What no pure room may name.
const IMPURE: &[&str] = &["tokio", "std::fs", "std::net", "std::process", "std::env"];

/// Every import that goes the wrong way. Paths are relative to engine/src.
pub fn faults(sources: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        let room = room_of(path);
        let Some(floor) = floor_of(room) else {
            faults.push(format!("{path}: room {room:?} is on no floor: add it to the table"));
            continue;
        };
        let code = code(text);
        for other in imported_rooms(&code, path) {
            faults.extend(wrong_way(path, room, floor, &other));
        }
        for (foreign, home) in ALONE {
            if names(&code, foreign) && !path.starts_with(home) {
                faults.push(format!("{path} names {foreign}, which only {home} may know"));
            }
        }
        for impure in IMPURE.iter().filter(|impure| floor == 0 && names(&code, impure)) {
            faults.push(format!("{path} names {impure}, but a room on floor 0 is pure"));
        }
    }
    faults
}

/// Rooms of the table that do not exist.
pub fn stale(rooms: &BTreeSet<String>) -> Vec<String> {
    let gone = FLOORS.iter().filter(|(room, _)| !rooms.contains(*room));
    gone.map(|(room, _)| format!("room {room:?} is in the table and not in engine/src: remove it")).collect()
}

/// The rooms that exist.
pub fn rooms(tree: &[String]) -> BTreeSet<String> {
    let engine = tree.iter().filter_map(|path| path.strip_prefix("engine/src/"));
    engine.filter(|path| path.ends_with(".rs")).map(|path| room_of(path).to_owned()).collect()
}

fn room_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn floor_of(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn wrong_way(path: &str, room: &str, floor: u8, other: &str) -> Option<String> {
    let other_floor = floor_of(other)?;
    if other == room {
        return None;
    }
    if other_floor > floor {
        return Some(format!("{path} (floor {floor}) imports {other} (floor {other_floor}): upward"));
    }
    (floor == 1 && other_floor == 1)
        .then(|| format!("{path} imports {other}: rooms on floor 1 never know each other"))
}

/// The first parts of all paths that begin at the crate's root: `crate::a`, `crate::{a::b, c}`, and from a file that
/// stands right in the root also `super::a`.
fn imported_rooms(code: &str, path: &str) -> BTreeSet<String> {
    let mut roots = vec!["crate::"];
    if !path.contains('/') {
        roots.push("super::");
    }
    let mut rooms = BTreeSet::new();
    for root in roots {
        for (at, _) in code.match_indices(root).filter(|(at, _)| begins_word(code, *at)) {
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => rooms.extend(heads_of_group(group)),
                None => rooms.extend(word(rest)),
            }
        }
    }
    rooms
}

/// The first words of the paths in a brace group, at its own depth.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut fresh) = (1, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && depth == 1 && !c.is_whitespace() => {
                heads.extend(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Whether code names a path or crate: the name as whole words, followed by `::` or the end of an import, or its last
/// part in a brace group after the first.
fn names(code: &str, path: &str) -> bool {
    if let Some((first, last)) = path.split_once("::") {
        let group = format!("{first}::{{");
        let mut groups = code.match_indices(&group).filter(|(at, _)| begins_word(code, *at));
        if groups.any(|(at, _)| heads_of_group(&code[at + group.len()..]).iter().any(|head| head == last)) {
            return true;
        }
    }
    code.match_indices(path).any(|(at, _)| {
        let rest = &code[at + path.len()..];
        let followed = rest.starts_with("::") || (rest.starts_with(';') && code[..at].ends_with("use "));
        begins_word(code, at) && followed && !code[..at].ends_with("::")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        faults(&[(path.to_owned(), text.to_owned())])
    }

    #[test]
    fn good_imports_pass() {
        for (path, text) in [
            ("unkeyed.rs", "use crate::bus::Bus;\nuse crate::dead_letter::store;"),
            (
                "bus/nats/link.rs",
                "use crate::bus::BusError;\nuse async_nats::Client;\nuse tokio::sync::Notify;",
            ),
            ("event.rs", "// use crate::bus::Bus;\nlet text = \"tokio::spawn\";"),
            ("sandbox/mod.rs", "use wasmtime::Engine; fn notify() { self.notify.notify_one(); }"),
            ("subject.rs", "mod tests { use super::*; }"),
        ] {
            assert_eq!(check(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }

    #[test]
    fn bad_imports_are_named() {
        for (path, text, wanted) in [
            ("event.rs", "use crate::bus::Bus;", "upward"),
            ("event.rs", "use crate::{\n    limits::{A, supervisor},\n    unkeyed,\n};", "imports unkeyed"),
            ("event.rs", "fn f() { crate::sandbox::load() }", "upward"),
            ("event.rs", "use super::cli;", "upward"),
            ("bus/mod.rs", "use crate::sandbox::Sandbox;", "never know each other"),
            ("unkeyed.rs", "use crate::supervisor::S;", "upward"),
            ("unkeyed.rs", "use async_nats::Client;", "only bus/nats"),
            ("bus/memory.rs", "use async_nats;", "only bus/nats"),
            ("cli/mod.rs", "let e = wasmtime::Engine::default();", "only sandbox"),
            ("supervisor.rs", "use notify::Watcher;", "only plugin_dir"),
            ("plan.rs", "use tokio::sync::mpsc;", "pure"),
            ("plan.rs", "std::fs::read(path)", "pure"),
            ("plan.rs", "use std::{fmt, fs};", "pure"),
            ("attic.rs", "", "no floor"),
        ] {
            let faults = check(path, text);
            assert!(faults.len() == 1 && faults[0].contains(wanted), "{path}: {text}: {faults:?}");
        }
    }

    #[test]
    fn rooms_are_files_or_folders() {
        let tree = ["engine/src/bus/mod.rs", "engine/src/event.rs", "README.md"].map(str::to_owned);
        let rooms = rooms(&tree);
        assert_eq!(rooms.iter().collect::<Vec<_>>(), ["bus", "event"]);
        assert_eq!(stale(&rooms).len(), FLOORS.len() - 2);
    }
}
