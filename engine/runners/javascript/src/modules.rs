//! Which modules there are: the SDK, which an author imports as `wasmill`, and what the runtime keeps to itself.

use std::cell::RefCell;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module, Result};

use crate::host::Host;
use crate::thrown::refusal;
use crate::vm::Source;

/// What an author imports.
pub const SDK: &str = "wasmill";
/// What the names of the other modules begin with. No file has a colon in its name here.
pub const OWN: &str = "wasmill:";

/// A module of the SDK and its text.
macro_rules! sdk {
    ($($name:literal),+) => {
        [$((
            concat!("wasmill:", $name),
            include_str!(concat!("../../../../plugin-sdk/javascript/", $name, ".js")),
        )),+]
    };
}

const OF_SDK: [(&str, &str); 16] = sdk![
    "aggregate",
    "answer",
    "data",
    "distinct",
    "failure",
    "infield",
    "join",
    "lookup",
    "pattern",
    "pattern-work",
    "quantile",
    "shape",
    "state",
    "timers",
    "top",
    "window"
];
const TEXTS: [(&str, &str); 3] = [
    (SDK, include_str!("../../../../plugin-sdk/javascript/index.js")),
    ("wasmill:runtime", include_str!("../js/runtime.js")),
    ("wasmill:globals", include_str!("../js/globals.js")),
];

thread_local! {
    /// The last import that was refused, as it was written.
    static REFUSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Finds and loads the runtime's own modules, and refuses all others.
pub struct Own;

impl Resolver for Own {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if name == SDK || (is_own(base) && name == "./index.js") {
            return Ok(SDK.into());
        }
        if is_own(base) {
            return Ok(format!("{OWN}{}", name.trim_start_matches("./").trim_end_matches(".js")));
        }
        REFUSED.set(Some(name.into()));
        let message = format!(
            "cannot import \"{name}\": there is only \"{SDK}\"\nhint: a plugin of several modules is built by `wasmill build`"
        );
        Err(refusal(ctx, &message))
    }
}

impl Loader for Own {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        declare_own(ctx, name)
    }
}

/// Whether a module is of the runtime.
pub fn is_own(name: &str) -> bool {
    name == SDK || name.starts_with(OWN)
}

/// Compiles one of the runtime's own modules.
///
/// # Errors
/// If there is none of this name, or the memory ran out.
pub fn declare_own<'js>(ctx: &Ctx<'js>, name: &str) -> Result<Module<'js, Declared>> {
    if name == "wasmill:host" {
        return Module::declare_def::<Host, _>(ctx.clone(), name);
    }
    let (_, text) = TEXTS
        .iter()
        .chain(&OF_SDK)
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Error::new_loading(name))?;
    Module::declare(ctx.clone(), name, *text)
}

/// Where the source has the import that could not be had, line and column from 1; zeros if that is unknown.
pub fn import_place(source: &Source, message: &str) -> (u32, u32) {
    let missing = message.split_once("export '").and_then(|(_, rest)| rest.split_once('\''));
    let found = match (REFUSED.take(), missing) {
        (Some(name), _) => {
            ["\"", "'"].iter().find_map(|quote| specifier(&source.text, &format!("{quote}{name}{quote}")))
        }
        (None, Some((name, _))) => word(&source.text, name),
        (None, None) => None,
    };
    let Some(before) = found.and_then(|at| source.text.get(..at)) else { return (0, 0) };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|sign| *sign != '\n').count() + 1;
    (line as u32, column as u32)
}

/// Where a quoted name follows `from` or `import`: in a line that looks like such a statement, else anywhere.
fn specifier(text: &str, quoted: &str) -> Option<usize> {
    let found: Vec<_> = text
        .match_indices(quoted)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = text[..*at].trim_end().trim_end_matches('(').trim_end();
            before.ends_with("from") || before.ends_with("import")
        })
        .collect();
    let is_statement = |at: &&usize| {
        let line = text[..**at].rsplit('\n').next().unwrap_or_default().trim_start();
        line.starts_with("import") || line.starts_with("export") || line.starts_with('}')
    };
    found.iter().find(is_statement).or(found.first()).copied()
}

/// The first time that a name stands by itself.
fn word(text: &str, name: &str) -> Option<usize> {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '$';
    text.match_indices(name)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}
