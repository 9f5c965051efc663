//! Built ahead: a guest is called once while it is built, and what that leaves in its memory becomes what every instance
//! starts with.
//!
//! A language's runtime starts, loads the author's source and runs its top level in that call, so no instance does it again.
//! The guest is a core module that exports `cabi_realloc` and `wasmill-build`, imports functions only, and answers with all its
//! state in its one memory.

use std::ops::Range;

use wasm_encoder::{ConstExpr, DataSection, ExportSection, MemorySection, MemoryType, RawSection};
use wasmparser::{DataKind, Parser, Payload};
use wasmtime::{
    Config, Engine, Instance, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, Val,
};

use crate::limits::{COMPILE_MEMORY_MIB, MAX_WASM_STACK_BYTES, MIB};

/// What is called: pairs of pointer and length for the source's name, its text and its source map; the answer is null, or
/// points to pointer and length of what is wrong.
const BUILD: &str = "wasmill-build";
/// How much the top level of a source may compute, in instructions: some seconds.
const FUEL: u64 = 10_000_000_000;
/// Zeros between two runs of bytes that cost less to keep than another segment.
const MAX_GAP: usize = 64;
/// The most that a guest may tell of what is wrong, in bytes.
const MAX_COMPLAINT_BYTES: usize = 64 * 1_024;

/// A source to build in; all empty only starts the runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// Its file's name, as traces show it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The source map that leads back to the author's files, if the text was made of others.
    pub map: &'a str,
}

/// Why a source could not be built in.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The source is at fault: what its language says, over several lines.
    #[error("{0}")]
    Source(String),
    /// It did not come to an end.
    #[error("the top level of {name} does not end\n  hint: what takes long belongs into the handler")]
    Endless {
        /// The source's name.
        name: String,
    },
    /// The guest is no such module.
    #[error("not a module that can be built ahead: {0}")]
    Module(String),
}

impl From<wasmtime::Error> for SnapshotError {
    fn from(err: wasmtime::Error) -> Self {
        Self::Module(format!("{err:#}"))
    }
}

impl From<wasmparser::BinaryReaderError> for SnapshotError {
    fn from(err: wasmparser::BinaryReaderError) -> Self {
        Self::Module(err.to_string())
    }
}

/// Calls the guest and makes a module of it that starts with what the call left.
///
/// # Errors
/// The source's fault, or a guest that is no such module.
pub fn snapshot(core: &[u8], source: Source<'_>) -> Result<Vec<u8>, SnapshotError> {
    let mut config = Config::new();
    config.consume_fuel(true).max_wasm_stack(MAX_WASM_STACK_BYTES);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, core)?;
    let limits = StoreLimitsBuilder::new().memory_size(COMPILE_MEMORY_MIB as usize * MIB).build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    store.set_fuel(FUEL)?;
    let instance = linker(&engine, &module)?.instantiate(&mut store, &module)?;
    let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| missing("memory"))?;
    if let Err(err) = build(&mut store, instance, memory, source) {
        return Err(match (err, store.get_fuel()) {
            (SnapshotError::Module(_), Ok(0)) => SnapshotError::Endless { name: source.name.into() },
            (err, _) => err,
        });
    }
    rewrite(core, memory.data(&store), memory.size(&store))
}

fn missing(export: &str) -> SnapshotError {
    SnapshotError::Module(format!("it does not export {export}"))
}

/// What the guest imports is of no use yet: what gives nothing back does nothing, what gives a number gives 0.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<StoreLimits>, SnapshotError> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let ty = import.ty();
        let Some(ty) = ty.func() else {
            return Err(SnapshotError::Module(format!("it imports {}, which is no function", import.name())));
        };
        let zeros: Vec<_> = ty.results().filter_map(|result| Val::default_for_ty(&result)).collect();
        linker.func_new(import.module(), import.name(), ty.clone(), move |_, _, results| {
            results.clone_from_slice(&zeros);
            Ok(())
        })?;
    }
    Ok(linker)
}

fn build(
    store: &mut Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
    source: Source<'_>,
) -> Result<(), SnapshotError> {
    let allocate = instance.get_typed_func::<(u32, u32, u32, u32), u32>(&mut *store, "cabi_realloc")?;
    let mut args = [(0_u32, 0_u32); 3];
    for (arg, text) in args.iter_mut().zip([source.name, source.text, source.map]) {
        if !text.is_empty() {
            let length =
                u32::try_from(text.len()).map_err(|_| SnapshotError::Source("4 GiB of source".into()))?;
            *arg = (allocate.call(&mut *store, (0, 0, 1, length))?, length);
            memory
                .write(&mut *store, arg.0 as usize, text.as_bytes())
                .map_err(|err| SnapshotError::Module(err.to_string()))?;
        }
    }
    let [name, text, map] = args;
    let function = instance.get_typed_func::<(u32, u32, u32, u32, u32, u32), u32>(&mut *store, BUILD)?;
    match function.call(&mut *store, (name.0, name.1, text.0, text.1, map.0, map.1))? {
        0 => Ok(()),
        told => Err(SnapshotError::Source(complaint(memory.data(&*store), told as usize))),
    }
}

fn complaint(memory: &[u8], at: usize) -> String {
    let number = |at: usize| Some(u32::from_le_bytes(memory.get(at..at + 4)?.try_into().ok()?) as usize);
    let text = number(at)
        .zip(number(at + 4))
        .and_then(|(start, length)| memory.get(start..start.checked_add(length.min(MAX_COMPLAINT_BYTES))?));
    text.map_or_else(
        || "it cannot run, and says nothing".into(),
        |text| String::from_utf8_lossy(text).into_owned(),
    )
}

/// The module with other memory contents and without the function that made them.
fn rewrite(core: &[u8], memory: &[u8], pages: u64) -> Result<Vec<u8>, SnapshotError> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload?;
        match &payload {
            Payload::MemorySection(section) => {
                let mut memories = MemorySection::new();
                for found in section.clone() {
                    let mut ty = MemoryType::from(found?);
                    ty.minimum = pages;
                    memories.memory(ty);
                }
                module.section(&memories);
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section.clone() {
                    let export = export?;
                    if export.name != BUILD {
                        exports.export(export.name, export.kind.into(), export.index);
                    }
                }
                module.section(&exports);
            }
            Payload::GlobalSection(section) => {
                let mutable = section
                    .clone()
                    .into_iter()
                    .filter(|global| global.as_ref().is_ok_and(|global| global.ty.mutable));
                if mutable.count() > 1 {
                    return Err(SnapshotError::Module(
                        "it keeps state in globals beside the stack pointer".into(),
                    ));
                }
                copy(&mut module, core, &payload);
            }
            Payload::DataSection(section) => {
                for segment in section.clone() {
                    if !matches!(segment?.kind, DataKind::Active { memory_index: 0, .. }) {
                        return Err(SnapshotError::Module(
                            "it has data that is not in place from the start".into(),
                        ));
                    }
                }
                module.section(&data(memory));
            }
            // Of the segments that were; nothing refers to their number when all are active.
            Payload::DataCountSection { .. } => {}
            _ => copy(&mut module, core, &payload),
        }
    }
    Ok(module.finish())
}

fn copy(module: &mut wasm_encoder::Module, core: &[u8], payload: &Payload<'_>) {
    if let Some((id, data)) = payload.as_section().and_then(|(id, range)| Some((id, core.get(range)?))) {
        module.section(&RawSection { id, data });
    }
}

fn data(memory: &[u8]) -> DataSection {
    let mut section = DataSection::new();
    for run in runs(memory) {
        #[expect(
            clippy::cast_possible_wrap,
            clippy::cast_possible_truncation,
            reason = "addresses of 32 bits, written as the format has them"
        )]
        let start = ConstExpr::i32_const(run.start as i32);
        section.active(0, &start, memory.get(run).unwrap_or_default().iter().copied());
    }
    section
}

/// The parts of memory that are not zero.
fn runs(memory: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let next = |from: usize, zero: bool| {
        let rest = memory.get(from..).unwrap_or_default();
        rest.iter().position(|byte| (*byte == 0) == zero).map(|skipped| from + skipped)
    };
    while let Some(start) = next(at, false) {
        at = next(start, true).unwrap_or(memory.len());
        match runs.last_mut() {
            Some(last) if start - last.end <= MAX_GAP => last.end = at,
            _ => runs.push(start..at),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the first byte of the text at address 8; complains of `!`, runs for ever on `?`.
    const GUEST: &str = r#"
        (module
          (import "engine" "now" (func $now (result i64)))
          (memory (export "memory") 1)
          (global $free (mut i32) (i32.const 1024))
          (data (i32.const 100) "it is wrong")
          (data (i32.const 200) "\64\00\00\00\0b\00\00\00")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (memory.grow (i32.const 1))
            (i32.mul (i32.const 65536)))
          (func (export "wasmill-build") (param i32 i32 i32 i32 i32 i32) (result i32)
            (drop (call $now))
            (i32.store8 (i32.const 8) (i32.load8_u (local.get 2)))
            (if (i32.eq (i32.load8_u (local.get 2)) (i32.const 63)) (then (loop (br 0))))
            (if (i32.eq (i32.load8_u (local.get 2)) (i32.const 33)) (then (return (i32.const 200))))
            (i32.const 0))
          (func (export "kept") (result i32) (i32.load8_u (i32.const 8))))"#;

    fn built(guest: &str, text: &str) -> Result<Vec<u8>, SnapshotError> {
        snapshot(&wat::parse_str(guest).unwrap(), Source { name: "rule.js", text, map: "" })
    }

    #[test]
    fn an_instance_starts_with_what_the_call_left() {
        let module = built(GUEST, "A").unwrap();
        let engine = Engine::default();
        let module = Module::new(&engine, &module).unwrap();
        assert!(module.get_export(BUILD).is_none());
        let mut store = Store::new(&engine, StoreLimits::default());
        let instance = linker(&engine, &module).unwrap().instantiate(&mut store, &module).unwrap();
        let kept = instance.get_typed_func::<(), i32>(&mut store, "kept").unwrap();
        assert_eq!(kept.call(&mut store, ()).unwrap(), i32::from(b'A'));
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        assert_eq!(memory.size(&store), 3, "as large as it had grown");
        assert_eq!(&memory.data(&store)[65_536..65_544], b"rule.js\0");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (guest, text, wanted) in [
            (GUEST.to_owned(), "!", "it is wrong"),
            (GUEST.to_owned(), "?", "the top level of rule.js does not end"),
            (GUEST.replace("wasmill-build", "other"), "A", "wasmill-build"),
            (GUEST.replace("\"memory\"", "\"other\""), "A", "it does not export memory"),
            (
                GUEST.replace("(global ", "(global (mut i32) (i32.const 0)) (global "),
                "A",
                "globals beside the stack pointer",
            ),
            (GUEST.replace("(i32.const 100) \"it", "\"it"), "A", "not in place from the start"),
        ] {
            let err = built(&guest, text).unwrap_err().to_string();
            assert!(err.contains(wanted), "{wanted}: {err}");
        }
    }

    #[test]
    fn runs_of_bytes_join_over_short_gaps() {
        let mut memory = vec![0; 300];
        (memory[3], memory[10], memory[200], memory[299]) = (1, 1, 1, 1);
        assert_eq!(runs(&memory), [3..11, 200..201, 299..300]);
        assert!(runs(&[0; 8]).is_empty());
    }
}
