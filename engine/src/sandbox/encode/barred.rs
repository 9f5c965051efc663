//! Marks the time in which a core module must not call out.
//!
//! While the host is in a component's `cabi_realloc`, or tells it that a result was taken (`cabi_post_…`), calls out of the
//! component trap. The adapter cannot see that from where it is, so these functions are wrapped: they set a global, which
//! the adapter imports.

use std::ops::Range;

use wasm_encoder::{
    CodeSection, ConstExpr, Encode as _, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Module, RawSection, SectionId, ValType,
};
use wasmparser::{BinaryReader, BinaryReaderError, ExternalKind, FuncType, Parser, Payload, TypeRef};

/// The name under which the module exports the global.
pub(super) const GLOBAL: &str = "wasmill_barred";

/// The order of a module's sections.
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// Adds the global and the wrappers. The module is valid.
pub(super) fn mark(module: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let layout = Layout::read(module)?;
    let mut made = Additions::of(&layout);
    let mut marked = Module::new();
    for (id, contents) in &layout.sections {
        let place = place_of(*id);
        made.emit(&mut marked, |own| place.is_some_and(|place| place_of(own) < Some(place)), None);
        let old = module.get(contents.clone()).unwrap_or_default();
        if !made.emit(&mut marked, |own| own == *id, Some(old)) {
            marked.section(&RawSection { id: *id, data: old });
        }
    }
    made.emit(&mut marked, |_| true, None);
    Ok(marked.finish())
}

fn place_of(id: u8) -> Option<usize> {
    ORDER.iter().position(|known| *known as u8 == id)
}

/// Whether the host calls this export at a time when nothing may be called out.
fn is_barred(export: &str) -> bool {
    const REALLOCS: [&str; 4] =
        ["cabi_realloc", "canonical_abi_realloc", "cabi_import_realloc", "cabi_export_realloc"];
    REALLOCS.contains(&export) || export.starts_with("cabi_post_")
}

/// What has to be known of a module.
#[derive(Default)]
struct Layout<'a> {
    types: Vec<FuncType>,
    /// The types of all functions, imported ones first.
    functions: Vec<u32>,
    globals: u32,
    exports: Vec<wasmparser::Export<'a>>,
    sections: Vec<(u8, Range<usize>)>,
}

impl<'a> Layout<'a> {
    fn read(module: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut layout = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            layout.sections.extend(payload.as_section());
            match payload {
                Payload::TypeSection(types) => {
                    layout.types = types.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => layout.functions.push(ty),
                            TypeRef::Global(_) => layout.globals += 1,
                            TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        layout.functions.push(ty?);
                    }
                }
                Payload::GlobalSection(globals) => layout.globals += globals.count(),
                Payload::ExportSection(exports) => {
                    layout.exports = exports.into_iter().collect::<Result<_, _>>()?;
                }
                _ => {}
            }
        }
        Ok(layout)
    }

    fn type_of(&self, function: u32) -> Option<(u32, &FuncType)> {
        let ty = *self.functions.get(function as usize)?;
        Some((ty, self.types.get(ty as usize)?))
    }
}

/// What is new in a section.
struct Addition {
    id: SectionId,
    /// How many items, and their bytes.
    items: (u32, Vec<u8>),
    /// Whether they take the place of what is there.
    instead: bool,
}

struct Additions(Vec<Addition>);

impl Additions {
    fn of(layout: &Layout<'_>) -> Self {
        let barred = layout.globals;
        let mut globals = GlobalSection::new();
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(0));
        let (mut functions, mut code, mut exports) =
            (FunctionSection::new(), CodeSection::new(), ExportSection::new());
        for export in &layout.exports {
            let wrapped = layout
                .type_of(export.index)
                .filter(|_| export.kind == ExternalKind::Func && is_barred(export.name));
            let index = match wrapped {
                Some((ty, signature)) => {
                    let index = layout.functions.len() as u32 + functions.len();
                    functions.function(ty);
                    code.function(&wrapper(barred, export.index, signature.params().len() as u32));
                    index
                }
                None => export.index,
            };
            exports.export(export.name, ExportKind::from(export.kind), index);
        }
        exports.export(GLOBAL, ExportKind::Global, barred);
        Self(vec![
            Addition { id: SectionId::Function, items: items(&functions), instead: false },
            Addition { id: SectionId::Global, items: items(&globals), instead: false },
            Addition { id: SectionId::Export, items: items(&exports), instead: true },
            Addition { id: SectionId::Code, items: items(&code), instead: false },
        ])
    }

    /// Writes those whose section is chosen after the items that the section has, and forgets them. Says whether there
    /// was one.
    fn emit(&mut self, module: &mut Module, chosen: impl Fn(u8) -> bool, old: Option<&[u8]>) -> bool {
        let now = self.0.extract_if(.., |addition| chosen(addition.id as u8));
        let mut any = false;
        for Addition { id, items: (added, bytes), instead } in now {
            let (count, kept) = old.filter(|_| !instead).and_then(split).unwrap_or_default();
            let mut data = Vec::new();
            (count + added).encode(&mut data);
            data.extend_from_slice(kept);
            data.extend_from_slice(&bytes);
            if old.is_some() || added > 0 {
                module.section(&RawSection { id: id as u8, data: &data });
            }
            any = true;
        }
        any
    }
}

/// A function that calls another one with the global set.
fn wrapper(barred: u32, wrapped: u32, params: u32) -> Function {
    let before = params;
    let mut body = Function::new([(1, ValType::I32)]);
    let mut code = body.instructions();
    code.global_get(barred).local_set(before).i32_const(1).global_set(barred);
    for param in 0..params {
        code.local_get(param);
    }
    code.call(wrapped).local_get(before).global_set(barred).end();
    body
}

/// The count and the items of a section that was made here.
fn items(section: &impl wasm_encoder::Encode) -> (u32, Vec<u8>) {
    let mut sized = Vec::new();
    section.encode(&mut sized);
    // The section's size comes first.
    let contents = split(&sized).map(|(_, contents)| contents);
    let (count, bytes) = contents.and_then(split).unwrap_or_default();
    (count, bytes.to_vec())
}

/// A number and what follows it.
fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut reader = BinaryReader::new(bytes, 0);
    let number = reader.read_var_u32().ok()?;
    Some((number, bytes.get(reader.current_position()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with the sections that are asked for, each with something in it.
    fn module(parts: &[&str]) -> Vec<u8> {
        wat::parse_str(format!("(module {})", parts.concat())).unwrap()
    }

    const REALLOC: &str =
        "(func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local.get 3))";

    #[test]
    fn modules_of_every_shape_stay_valid() {
        let optional = [
            "(import \"a\" \"f\" (func $f (param i32)))",
            "(import \"a\" \"g\" (global $g i32))",
            "(table 1 funcref)",
            "(memory 1)",
            "(global $own i64 (i64.const 7))",
            "(func $start) (start $start)",
            "(data \"some\")",
        ];
        for picked in 0..1_u32 << optional.len() {
            let mut parts: Vec<&str> = optional
                .iter()
                .enumerate()
                .filter(|(index, _)| picked & (1 << index) != 0)
                .map(|(_, part)| *part)
                .collect();
            parts.push(REALLOC);
            let marked = mark(&module(&parts)).unwrap();
            wasmparser::validate(&marked).unwrap_or_else(|err| panic!("{parts:?}: {err}"));
        }
    }

    #[test]
    fn a_module_without_functions_of_its_own_stays_valid() {
        let marked =
            mark(&module(&["(import \"a\" \"f\" (func $f (param i32))) (export \"cabi_post_x\" (func $f))"]));
        wasmparser::validate(&marked.unwrap()).unwrap();
        let marked = mark(&module(&["(memory (export \"memory\") 1)"])).unwrap();
        wasmparser::validate(&marked).unwrap();
    }

    #[test]
    fn only_what_the_host_calls_in_that_time_is_wrapped() {
        let text = ["(func $a (export \"a\"))", REALLOC, "(export \"free\" (func $realloc))"];
        let marked = mark(&module(&text)).unwrap();
        let layout = Layout::read(&marked).unwrap();
        let exports: Vec<_> = layout.exports.iter().map(|export| (export.name, export.index)).collect();
        assert_eq!(exports, [("a", 0), ("cabi_realloc", 2), ("free", 1), (GLOBAL, 0)]);
    }
}
