//! Nothing lies about unused or unexplained: rooms stand on the map, plugins and examples have a README and a test,
//! guests are in the corpus.

use std::collections::BTreeSet;

use wasmill_tests::guests::{Guest, Hostile};

use super::source::read;

/// The corpus holds at least this many guests.
const LEAST_GUESTS: usize = 20;

/// Rooms that the module doc does not name, and names on its list that are no rooms. The map is the doc's list: what
/// stands in backticks before the colon of each entry.
pub fn map_faults(lib: &str, rooms: &BTreeSet<String>) -> Vec<String> {
    let doc = lib.lines().filter_map(|line| line.trim_start().strip_prefix("//!")).map(str::trim);
    let entries = doc.filter(|line| line.starts_with("- ")).filter_map(|line| line.split_once(": "));
    let named: BTreeSet<String> =
        entries.flat_map(|(names, _)| names.split('`').skip(1).step_by(2)).map(head).collect();
    let missing =
        rooms.iter().filter(|room| !["lib", "main"].contains(&room.as_str()) && !named.contains(*room));
    let missing = missing.map(|room| format!("room {room} is not on it"));
    let ghosts = named.iter().filter(|name| !rooms.contains(*name)).map(|name| format!("{name} is no room"));
    missing.chain(ghosts).collect()
}

/// The room of `bus::nats`, `bus/nats`, `cli/` or `crate::bus`.
fn head(name: &str) -> String {
    let name = name.trim_start_matches("crate::");
    name.split(['/', ':', '.']).next().unwrap_or(name).to_owned()
}

/// Whether a source is part of the tests that run the engine: not the guests, and not the rules themselves.
pub fn is_test_source(path: &str) -> bool {
    path.starts_with("tests/")
        && !path.starts_with("tests/guests/")
        && !path.starts_with("tests/tests/all/tidy")
}

/// Folders below `base` without a README or a test.
pub fn folder_faults(base: &str, tree: &[String], test_sources: &[(String, String)]) -> Vec<String> {
    let inside =
        |path: &String| Some(path.strip_prefix(base)?.strip_prefix('/')?.split_once('/')?.0.to_owned());
    let folders: BTreeSet<String> = tree.iter().filter_map(inside).collect();
    let mut faults = Vec::new();
    for folder in folders {
        if !tree.contains(&format!("{base}/{folder}/README.md")) {
            faults.push(format!("{folder} has no README.md"));
        }
        if !test_sources.iter().any(|(_, text)| mentions(text, &folder)) {
            faults.push(format!("{folder} is used by no test"));
        }
    }
    faults
}

/// Whether a text holds a name as a whole word, to which hyphens belong.
fn mentions(text: &str, name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(in_word) && !text[at + name.len()..].starts_with(in_word))
}

/// Guests that no test runs, and rows of the corpus that no guest answers to.
pub fn guest_faults(tree: &[String], sources: &[(String, String)], corpus: &[Hostile]) -> Vec<String> {
    let guests = sources.iter().filter(|(path, _)| path.starts_with("tests/guests/src/"));
    let modes: BTreeSet<String> = guests.flat_map(|(_, text)| modes(text)).collect();
    let texts = tree.iter().filter_map(|path| path.strip_prefix("tests/guests/wat/")?.strip_suffix(".wat"));
    let tests: Vec<_> = sources.iter().filter(|(path, _)| is_test_source(path)).collect();
    let mut faults = Vec::new();
    for name in modes.iter().map(String::as_str).chain(texts) {
        if !tests.iter().any(|(_, text)| text.contains(&format!("\"{name}\""))) {
            faults.push(format!("{name} is run by no test"));
        }
    }
    let mut names = BTreeSet::new();
    for hostile in corpus {
        if !names.insert(hostile.name) {
            faults.push(format!("{} stands in the corpus twice", hostile.name));
        }
        if let Guest::Mode(mode) = hostile.guest
            && !modes.contains(mode)
            && mode != wasmill_tests::guests::NO_MODE
        {
            faults.push(format!("{}: there is no mode {mode:?}", hostile.name));
        }
    }
    if corpus.len() < LEAST_GUESTS {
        faults.push(format!("the corpus has {} guests, fewer than {LEAST_GUESTS}", corpus.len()));
    }
    faults
}

/// Names on the lists of `faults.rs` that no code asks for: a defect that is nowhere is found by nobody.
pub fn fault_faults(lists: &str, sources: &[(String, String)]) -> Vec<String> {
    let names = lists.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let used = |name: &str| {
        let asked = ["failpoint!", "mutant!", "is_mutant"].map(|ask| format!("{ask}(\"{name}\""));
        sources.iter().any(|(_, text)| asked.iter().any(|ask| text.contains(ask.as_str())))
    };
    names.filter(|name| !used(name)).map(|name| format!("{name} is nowhere in the engine")).collect()
}

/// The names in the tables of a guest source: `("name", |…`.
fn modes(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.trim_start().strip_prefix("(\""));
    rows.filter_map(|row| row.split_once("\", |")).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn the_map_must_name_each_room_and_nothing_else() {
        let rooms = owned(&["bus", "event", "lib"]).into_iter().collect();
        let map =
            "//! The map.\n//!\n//! - [`event`], [`bus::nats`]: one `message`.\n//! - `Nothing` else.\n";
        assert_eq!(map_faults(map, &rooms), Vec::<String>::new());
        assert_eq!(map_faults("//! - [`event`]: x\n", &rooms), ["room bus is not on it"]);
        assert_eq!(map_faults(&format!("{map}//! - `attic/`: x\n"), &rooms), ["attic is no room"]);
    }

    #[test]
    fn a_folder_needs_a_readme_and_a_test() {
        let tree = owned(&["plugins/a/README.md", "plugins/a/src/lib.rs", "plugins/a-b/src/lib.rs"]);
        let test = |text: &str| vec![("tests/x.rs".to_owned(), text.to_owned())];
        assert_eq!(folder_faults("plugins", &tree, &test("\"a\" \"a-b\"")), ["a-b has no README.md"]);
        assert_eq!(
            folder_faults("plugins", &tree, &test("plugin(\"a-b\")")),
            ["a is used by no test", "a-b has no README.md"]
        );
    }

    #[test]
    fn a_listed_fault_must_be_asked_for() {
        let lists = "const A: &[&str] = &[\n    \"one\",\n    \"two\",\n];\n";
        let sources = [("engine/src/x.rs".to_owned(), "if mutant!(\"one\") {}".to_owned())];
        assert_eq!(fault_faults(lists, &sources), ["two is nowhere in the engine"]);
    }

    #[test]
    fn a_guest_must_be_run_and_a_row_must_have_a_guest() {
        let sources = |test: &str| {
            vec![
                ("tests/guests/src/x.rs".to_owned(), "    (\"mode-a\", |_| 1),\n".to_owned()),
                ("tests/src/guests/corpus.rs".to_owned(), test.to_owned()),
            ]
        };
        let tree = owned(&["tests/guests/wat/text-a.wat"]);
        let faults = guest_faults(&tree, &sources(""), &[]);
        assert_eq!(faults.len(), 3, "{faults:?}");
        let good = guest_faults(&tree, &sources("\"mode-a\" \"text-a\""), &[]);
        assert_eq!(good, ["the corpus has 0 guests, fewer than 20"]);
        let corpus = wasmill_tests::guests::HOSTILE;
        let faults = guest_faults(&tree, &sources("\"mode-a\" \"text-a\""), corpus);
        assert!(faults.iter().any(|fault| fault.contains("there is no mode \"panic\"")), "{faults:?}");
        assert!(modes(&read("tests/guests/src/ends.rs")).contains(&"panic".to_owned()));
    }
}
