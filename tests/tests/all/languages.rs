//! The conformance suite for the languages that the default tests build: one that compiles, one that is interpreted, one
//! core module that the engine adapts. `cargo xtask languages` runs it for all.

use std::path::Path;

use wasmill::sandbox::Sandbox;
use wasmill_tests::{languages, parts};

/// The rows of the default tests.
const ROWS: [&str; 3] = ["rust", "python-source", "zig-module"];

#[tokio::test]
async fn every_language_does_what_the_contract_says() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-cache");
    let sandbox =
        Sandbox::with_runners(parts::wasmill().unwrap(), cache, parts::runner_dirs().unwrap()).unwrap();
    let rows = languages::rows::named(&ROWS.map(str::to_owned)).unwrap();
    let matrix = languages::run(&sandbox, &rows).await.unwrap();
    assert!(matrix.failures().is_empty(), "{}", matrix.text());
}
