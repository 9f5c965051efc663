//! Rules of this repository that no compiler knows: who may import whom, how long a file may be, and that every path and
//! command that a document names exists. Each rule is a function from text to faults, and is tried on bad input first.

mod fixtures;
mod floors;
mod readme;
mod sizes;
mod source;

use source::{read, tree};

/// Fails with every fault on a line of its own.
fn hold(rule: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

/// The Rust sources of the tree with their text.
fn rust_sources() -> Vec<(String, String)> {
    tree().into_iter().filter(|path| path.ends_with(".rs")).map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn imports_go_downward() {
    let engine: Vec<_> = rust_sources()
        .into_iter()
        .filter_map(|(path, text)| Some((path.strip_prefix("engine/src/")?.to_owned(), text)))
        .collect();
    assert!(!engine.is_empty(), "engine/src has no sources");
    let faults = [floors::faults(&engine), floors::stale(&floors::rooms(&tree()))].concat();
    hold("engine/src: imports go downward, and one room alone knows each foreign world", faults);
}

#[test]
fn files_and_functions_are_short() {
    hold(
        "a file or function with one purpose rarely needs more",
        sizes::faults(&rust_sources(), sizes::EXCEPTIONS),
    );
}

#[test]
fn the_map_of_the_engine_is_true() {
    let rooms = floors::rooms(&tree());
    hold("the map in engine/src/lib.rs", fixtures::map_faults(&read("engine/src/lib.rs"), &rooms));
}

#[test]
fn readmes_name_only_what_is_there() {
    let tree = tree();
    assert!(tree.iter().any(|path| path == "README.md"), "there is no README.md");
    let mut faults = Vec::new();
    for path in tree.iter().filter(|path| path.ends_with("README.md") && !path.contains("template")) {
        let text = read(path);
        let folder = path.trim_end_matches("README.md");
        let mut found = readme::command_faults(&text, &mut readme::accepts);
        if !is_of_a_project(path) {
            found.extend(readme::path_faults(&text, folder, &tree));
        }
        faults.extend(found.into_iter().map(|fault| format!("{path}: {fault}")));
    }
    hold("a document names only what is there", faults);
}

/// Whether a document goes into the author's project, with the SDK of a language: its paths are those of the project.
fn is_of_a_project(path: &str) -> bool {
    path.starts_with("plugin-sdk/") && path != "plugin-sdk/README.md"
}

#[test]
fn every_plugin_and_example_is_explained_and_tested() {
    let tests: Vec<_> =
        rust_sources().into_iter().filter(|(path, _)| fixtures::is_test_source(path)).collect();
    let manifests =
        tree().into_iter().filter(|path| path.starts_with("examples/") && path.ends_with(".toml"));
    // What an example runs is tested with the example: by its manifest's name, or by the component it names.
    let manifests = manifests.map(|path| (path.clone(), format!("{path}\n{}", read(&path))));
    let users: Vec<_> = tests.iter().cloned().chain(manifests).collect();
    let faults = [
        fixtures::folder_faults("plugins", &tree(), &users),
        fixtures::folder_faults("examples", &tree(), &tests),
    ];
    hold("each plugin and example is explained and tested", faults.concat());
}

#[test]
fn every_hostile_guest_is_in_the_corpus() {
    let sources = rust_sources();
    hold("tests/guests", fixtures::guest_faults(&tree(), &sources, wasmill_tests::guests::HOSTILE));
}

#[test]
fn every_listed_fault_is_in_the_engine() {
    let engine: Vec<_> =
        rust_sources().into_iter().filter(|(path, _)| path.starts_with("engine/src/")).collect();
    hold("engine/src/faults.rs", fixtures::fault_faults(&read("engine/src/faults.rs"), &engine));
}
