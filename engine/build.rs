//! Turns the one piece of the engine that is WebAssembly in text into bytes.

use std::path::PathBuf;

fn main() {
    let source = "src/sandbox/encode/adapter.wat";
    println!("cargo::rerun-if-changed={source}");
    if let Err(fault) = assemble(source) {
        println!("cargo::error={fault}");
    }
}

fn assemble(source: &str) -> Result<(), String> {
    let bytes = wat::parse_file(source).map_err(|err| err.to_string())?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no folder for what is made")?;
    std::fs::write(PathBuf::from(folder).join("adapter.wasm"), bytes).map_err(|err| err.to_string())
}
