//! What becomes of an exception: a failure of the contract, or a fault of the source.

use std::fmt;

use rquickjs::{Array, Ctx, Error, Value};

use crate::modules;
use crate::place::{self, Frame};
use crate::vm::{Source, Vm};
use crate::world::types::{Exception, Failure, Retry};

/// The most bytes of a source line that a fault shows.
const MAX_EXCERPT_BYTES: usize = 500;

/// Why a source cannot run.
pub struct Fault {
    /// The error's type and text.
    pub message: String,
    /// Where in the source, from 1; 0 if unknown.
    pub line: u32,
    /// Where in the line, from 1; 0 if unknown.
    pub column: u32,
    /// That line of the source; empty if unknown.
    pub excerpt: String,
    /// The author's calls that led there, innermost first.
    pub trace: String,
}

impl Fault {
    /// There is nothing to run.
    pub fn no_source() -> Self {
        let message = "no source was ever loaded: `wasmill build` makes a component of one".into();
        Self { message, line: 0, column: 0, excerpt: String::new(), trace: String::new() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.trace.is_empty() && self.line > 0 {
            write!(f, "\n  at line {} column {}: {}", self.line, self.column, self.excerpt.trim())?;
        }
        self.trace.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What JavaScript threw, as text.
struct Told {
    kind: String,
    message: String,
    stack: String,
    after_ms: f64,
}

/// Throws what the runtime itself has to say: no type of error stands before it.
pub fn refusal(ctx: &Ctx<'_>, message: &str) -> Error {
    let made = rquickjs::Exception::from_message(ctx.clone(), message)
        .and_then(|made| made.as_object().set("name", "").map(|()| made));
    match made {
        Ok(made) => made.throw(),
        Err(err) => err,
    }
}

/// Turns what was thrown into a failure.
pub fn failure(ctx: &Ctx<'_>, vm: &Vm, err: Error) -> Failure {
    let told = explain(ctx, vm, err);
    match told.kind.as_str() {
        "retry" => Failure::Retry(Retry {
            after_ms: (told.after_ms >= 0.0).then_some(told.after_ms as u64),
            reason: told.message,
        }),
        "reject" => Failure::Reject(told.message),
        _ => Failure::Exception(Exception { message: told.message, trace: place::trace(&told.stack) }),
    }
}

/// Tells what was thrown as one text.
pub fn told(ctx: &Ctx<'_>, vm: &Vm, err: Error) -> String {
    let told = explain(ctx, vm, err);
    let trace = place::trace(&told.stack);
    if trace.is_empty() { told.message } else { format!("{}\n{trace}", told.message) }
}

/// Turns what was thrown while a source was loaded into what is wrong with it, and where.
pub fn fault(ctx: &Ctx<'_>, vm: &Vm, err: Error, source: &Source) -> Fault {
    let told = explain(ctx, vm, err);
    let found =
        told.stack.lines().find_map(|line| place::frame(line).filter(|frame| frame.file == source.name));
    let (line, column) = match found {
        Some(Frame { line, column, .. }) => (line, column),
        None => modules::import_place(source, &told.message),
    };
    let is_compiled = told.stack.lines().any(|line| line.contains(" ("));
    Fault {
        message: told.message,
        line,
        column,
        excerpt: excerpt(&source.text, line),
        trace: if is_compiled { place::trace(&told.stack) } else { String::new() },
    }
}

/// A source that cannot run, as an event meets it.
pub fn failure_of_fault(fault: Fault) -> Failure {
    Failure::Exception(Exception { message: fault.message, trace: fault.trace })
}

fn excerpt(text: &str, line: u32) -> String {
    let Some(index) = (line as usize).checked_sub(1) else { return String::new() };
    let found = text.lines().nth(index).unwrap_or_default();
    found[..found.floor_char_boundary(MAX_EXCERPT_BYTES)].to_owned()
}

fn explain(ctx: &Ctx<'_>, vm: &Vm, err: Error) -> Told {
    let Error::Exception = err else {
        return Told {
            kind: "exception".into(),
            message: format!("InternalError: {err}"),
            stack: String::new(),
            after_ms: -1.0,
        };
    };
    let thrown = ctx.catch();
    match vm.explain(ctx, thrown.clone()).and_then(|list| read(&list)) {
        Ok(told) => told,
        // What explains errors can fail itself, as when the memory is full.
        Err(_) => {
            let _ = ctx.catch();
            Told { kind: "exception".into(), message: bare(&thrown), stack: String::new(), after_ms: -1.0 }
        }
    }
}

fn read(list: &Array<'_>) -> rquickjs::Result<Told> {
    let text = |index| crate::output::text_of(&list.get::<Value<'_>>(index)?);
    Ok(Told { kind: text(0)?, message: text(1)?, stack: text(2)?, after_ms: list.get(3)? })
}

fn bare(thrown: &Value<'_>) -> String {
    let message = thrown.as_exception().and_then(rquickjs::Exception::message);
    format!("InternalError: {}", message.as_deref().unwrap_or("an error that cannot be told"))
}
