//! Making components of core modules.
//!
//! A core module that exports the contract's functions under the names that WIT tools give them becomes a component by
//! being wrapped: the contract's WIT says what its exports and imports mean, and an adapter serves what it asks of WASI
//! preview 1. A program (`_start`) becomes a command.

mod barred;

use wasmparser::{ExternalKind, Parser, Payload, Validator};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, SourceMap};

use super::LoadError;
use super::compile::{check_header, invalid};
use crate::outcome::one_line;

/// What the adapter is known as to modules.
const PREVIEW1: &str = "wasi_snapshot_preview1";
const PLUGIN_ADAPTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plugin.wasm"));
const PROGRAM_ADAPTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/program.wasm"));
const ADAPTER_WIT: &str = include_str!("adapter.wit");
/// The contract, file by file.
const CONTRACT: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../../plugin-sdk/wit/types.wit")),
    ("imports.wit", include_str!("../../../../plugin-sdk/wit/imports.wit")),
    ("exports.wit", include_str!("../../../../plugin-sdk/wit/exports.wit")),
    ("worlds.wit", include_str!("../../../../plugin-sdk/wit/worlds.wit")),
];
/// The interfaces of the contract that a plugin may export.
const EXPORTS: [&str; 4] = ["handler", "description", "timers", "migrate"];
const HANDLE: &str = "wasmill:plugin/handler@0.1.0#handle";
/// How a program is entered.
const START: &str = "_start";
/// What the canonical ABI and the adapters need of a module, beside the way in.
const PLUGIN: [(&str, ExternalKind); 3] =
    [(HANDLE, ExternalKind::Func), ("cabi_realloc", ExternalKind::Func), ("memory", ExternalKind::Memory)];
const PROGRAM: [(&str, ExternalKind); 1] = [("memory", ExternalKind::Memory)];
/// The most names that a message lists.
const MAX_NAMES: usize = 12;

/// All that shapes what comes out, but for the module: compiled code is kept under it.
pub(super) fn version() -> String {
    let mut parts =
        vec![env!("CARGO_PKG_VERSION").as_bytes(), PLUGIN_ADAPTER, PROGRAM_ADAPTER, ADAPTER_WIT.as_bytes()];
    parts.extend(CONTRACT.iter().map(|(_, text)| text.as_bytes()));
    crate::digest::Digest::of(&parts.concat()).to_string()
}

/// Makes a component of a core module; a component stays as it is.
///
/// Of hostile bytes the compiler's process alone makes components, where this cannot do harm.
///
/// # Errors
/// If the bytes are no WebAssembly, or the module lacks what a plugin needs or asks for what no engine serves.
pub fn componentize(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    check_header(bytes)?;
    if Parser::is_component(bytes) {
        return Ok(bytes.to_vec());
    }
    Validator::new().validate_all(bytes).map_err(|err| invalid(&err.to_string()))?;
    let survey = Survey::of(bytes).map_err(|err| invalid(&err.to_string()))?;
    survey.check()?;
    let mut module = bytes.to_vec();
    let unfit = |err: anyhow::Error| LoadError::CoreModule(one_line(format!("{err:#}")));
    let program = survey.is_program();
    if !survey.says_its_world && !program {
        embed(&mut module, &contract_with(&survey.world())?, "adapted").map_err(unfit)?;
    }
    // A program is entered by the adapter, whatever it imports.
    let adapted = program || survey.imports_module(PREVIEW1);
    if adapted {
        module = barred::mark(&module).map_err(|err| invalid(&err.to_string()))?;
    }
    // What it makes is validated by whoever compiles it.
    let mut encoder = ComponentEncoder::default().module(&module).map_err(unfit)?;
    if adapted {
        encoder = encoder.adapter(PREVIEW1, &adapter(program)?).map_err(unfit)?;
    }
    encoder.encode().map_err(unfit)
}

/// The adapter of plugins or that of programs, with what it is made of, as the encoder wants it.
fn adapter(program: bool) -> Result<Vec<u8>, LoadError> {
    let mut resolve = Resolve::default();
    let mut source = SourceMap::new();
    source.push_str("adapter.wit", ADAPTER_WIT);
    let package = push(&mut resolve, source)?;
    let (code, world) = if program { (PROGRAM_ADAPTER, "program") } else { (PLUGIN_ADAPTER, "plugin") };
    let mut adapter = code.to_vec();
    let embedded = embed(&mut adapter, &(resolve, package), world);
    embedded.map_err(|err| LoadError::Compiler(format!("{err:#}")))?;
    Ok(adapter)
}

fn embed(module: &mut Vec<u8>, (resolve, package): &(Resolve, PackageId), world: &str) -> anyhow::Result<()> {
    let world = resolve.select_world(&[*package], Some(world))?;
    embed_component_metadata(module, resolve, world, StringEncoding::UTF8)
}

/// The contract's WIT with one more world.
fn contract_with(world: &str) -> Result<(Resolve, PackageId), LoadError> {
    let mut source = SourceMap::new();
    for (name, text) in CONTRACT {
        source.push_str(name, text);
    }
    source.push_str("adapted.wit", world);
    let mut resolve = Resolve::default();
    let package = push(&mut resolve, source)?;
    Ok((resolve, package))
}

fn push(resolve: &mut Resolve, source: SourceMap) -> Result<PackageId, LoadError> {
    let fault = |err: String| LoadError::Compiler(format!("the engine's own WIT is wrong: {err}"));
    let group = source.parse().map_err(|(_, err)| fault(err.to_string()))?;
    resolve.push_group(group).map_err(|err| fault(err.to_string()))
}

/// What a module imports and exports.
#[derive(Default)]
struct Survey {
    imports: Vec<(String, String)>,
    exports: Vec<(String, ExternalKind)>,
    /// Whether it carries the WIT that it was built for.
    says_its_world: bool,
}

impl Survey {
    fn of(module: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut survey = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        survey.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        survey.exports.push((export.name.to_owned(), export.kind));
                    }
                }
                Payload::CustomSection(section) => {
                    survey.says_its_world |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(survey)
    }

    fn exports(&self, name: &str, kind: ExternalKind) -> bool {
        self.exports.iter().any(|(known, of)| known == name && *of == kind)
    }

    fn imports_module(&self, module: &str) -> bool {
        self.imports.iter().any(|(known, _)| known == module)
    }

    /// Whether it is a whole program, and not a library of functions to be called.
    fn is_program(&self) -> bool {
        self.exports(START, ExternalKind::Func) && !self.exports(HANDLE, ExternalKind::Func)
    }

    /// Finds what is missing or unknown before the encoder does: it stops at the first, and knows nothing of plugins.
    fn check(&self) -> Result<(), LoadError> {
        self.check_imports()?;
        if self.says_its_world {
            return Ok(());
        }
        let (what, wanted) =
            if self.is_program() { ("program", &PROGRAM[..]) } else { ("plugin", &PLUGIN[..]) };
        let missing: Vec<&str> =
            wanted.iter().filter(|(name, kind)| !self.exports(name, *kind)).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(LoadError::CoreModule(format!(
            "of its exports a {what} needs {}; it has {}\n  hint: build a component (Rust: --target wasm32-wasip2), a module with \
             these exports, or a program whose `_start` reads events from standard input",
            missing.join(", "),
            listed(self.exports.iter().map(|(name, _)| name.clone()))
        )))
    }

    fn check_imports(&self) -> Result<(), LoadError> {
        let served = |module: &str| {
            module == PREVIEW1
                || module.starts_with("wasmill:plugin/")
                // The names of other interfaces, and of what the canonical ABI offers, mean something to the encoder only
                // beside the WIT that they come from.
                || (self.says_its_world && module.contains(['$', ':', '[', '|']))
        };
        let unknown: Vec<String> = self
            .imports
            .iter()
            .filter(|(module, _)| !served(module))
            .map(|(module, name)| format!("{module}.{name}"))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(LoadError::CoreModule(format!(
            "it imports {}, which no engine serves\n  hint: a core module may import wasmill:plugin/{{log,clock,config,random,\
             state,timer-control,lookup}}@0.1.0 and {PREVIEW1}",
            listed(unknown.into_iter())
        )))
    }

    /// A world of exactly the contract's interfaces that it exports.
    fn world(&self) -> String {
        let exported = EXPORTS.iter().filter(|interface| {
            let prefix = format!("wasmill:plugin/{interface}@0.1.0#");
            self.exports.iter().any(|(name, _)| name.starts_with(&prefix))
        });
        let exports: String = exported.map(|interface| format!("export {interface};\n")).collect();
        format!("package wasmill:plugin@0.1.0;\nworld adapted {{\ninclude keyed-imports;\n{exports}}}\n")
    }
}

/// Names for people, as many as they will read.
fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    let mut list: Vec<String> = names.take(MAX_NAMES).map(|name| name.chars().take(100).collect()).collect();
    if count == 0 {
        list.push("none".to_owned());
    } else if count > MAX_NAMES {
        list.push(format!("and {} more", count - MAX_NAMES));
    }
    one_line(list.join(", "))
}
