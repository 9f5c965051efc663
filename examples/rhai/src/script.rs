//! Compiling a script, running it, and what becomes of its errors.

use std::rc::Rc;

use rhai::serde::to_dynamic;
use rhai::{AST, Dynamic, Engine, EvalAltResult, INT, Map, Position, Scope};
use wasmill_sdk::{Event, Failure, Output, config};

use crate::functions::{self, Outbox};

/// A function of a script may call itself so many times, and then has an error of its own with a place; much deeper, and the
/// component's stack would end.
const MAX_CALLS: usize = 24;

/// A compiled script and what it runs in.
pub struct Script {
    engine: Engine,
    ast: AST,
    config: Dynamic,
    outbox: Outbox,
}

impl Script {
    /// Compiles it.
    ///
    /// # Errors
    /// An exception that names line and column.
    pub fn compile(text: &str) -> Result<Self, Failure> {
        let outbox = Outbox::default();
        let mut engine = Engine::new();
        engine.set_max_call_levels(MAX_CALLS);
        // A field that is not there is an error, not an empty value that compares with anything.
        engine.set_fail_on_invalid_map_property(true);
        functions::register(&mut engine, &outbox);
        let ast = engine
            .compile(text)
            .map_err(|err| Failure::exception(format!("{}{}", place(err.position()), err.err_type()), ""))?;
        let config: serde_json::Value = config::load()?;
        let config = value(&without_script(config))?;
        Ok(Self { engine, ast, config, outbox })
    }

    /// Runs it on one event. Nothing stays of one run for the next.
    ///
    /// # Errors
    /// What the script asked for, or an exception that names line and column.
    pub fn run(&self, event: &Event) -> Result<Vec<Output>, Failure> {
        self.outbox.borrow_mut().clear();
        let mut scope = Scope::new();
        scope.push_constant_dynamic("event", as_map(event)?.into());
        scope.push_constant_dynamic("config", self.config.clone());
        let ended = self.engine.run_ast_with_scope(&mut scope, &self.ast);
        let outputs = Rc::clone(&self.outbox).take();
        ended.map(|()| outputs).map_err(|err| failure(*err))
    }
}

fn without_script(mut config: serde_json::Value) -> serde_json::Value {
    if let Some(table) = config.as_object_mut() {
        table.remove("script");
    }
    config
}

fn as_map(event: &Event) -> Result<Map, Failure> {
    let text = |text: &str| Dynamic::from(text.to_owned());
    let option = |value: &Option<String>| value.as_deref().map_or(Dynamic::UNIT, text);
    // Of headers with the same name a script sees the first.
    let mut headers = Map::new();
    for (name, value) in event.headers.iter().rev() {
        headers.insert(name.to_lowercase().into(), text(value));
    }
    let fields = [
        ("id", text(&event.id)),
        ("source", text(&event.source)),
        ("type", text(&event.kind)),
        ("subject", text(&event.subject)),
        ("time", INT::try_from(event.time).unwrap_or(INT::MAX).into()),
        ("key", option(&event.key)),
        ("headers", headers.into()),
        ("attempt", INT::from(event.attempt).into()),
        ("reply_to", option(&event.reply_to)),
        ("data", value(&event.data)?),
    ];
    Ok(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn value(json: &serde_json::Value) -> Result<Dynamic, Failure> {
    to_dynamic(json).map_err(|err| Failure::reject(format!("the data is too much for a script: {err}")))
}

/// What a script's end without success means to the engine.
fn failure(mut err: EvalAltResult) -> Failure {
    let mut trace = Vec::new();
    loop {
        match err {
            EvalAltResult::ErrorInFunctionCall(name, _, inner, at) => {
                trace.push(format!("{name}, called at {at:?}"));
                err = *inner;
            }
            EvalAltResult::ErrorTerminated(token, _) => {
                return token.try_cast().unwrap_or_else(|| Failure::exception("the script was ended", ""));
            }
            mut innermost => {
                let at = innermost.take_position();
                trace.reverse();
                return Failure::exception(format!("{}{innermost}", place(at)), trace.join("\n"));
            }
        }
    }
}

fn place(at: Position) -> String {
    match (at.line(), at.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    }
}
