//! What JavaScript calls of the imports of keyed plugins. The engine's refusals are thrown as a list of kind and limit, of which
//! the SDK makes an error of its own.

use rquickjs::module::Exports;
use rquickjs::{Array, BigInt, Ctx, Error, Exception, Function, Object, Result, TypedArray, Value};

use crate::build::refuse_while_building;
use crate::host::bytes_of;
use crate::output::text_of;
use crate::world::{lookup, state, timer_control};

/// The names of what is exported.
pub const NAMES: [&str; 7] =
    ["stateGet", "stateSet", "stateDelete", "stateNames", "timerSet", "timerCancel", "lookupGet"];

/// Adds the functions to the native module.
///
/// # Errors
/// A JavaScript exception if the memory ran out.
pub fn export<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
    exports.export("stateGet", Function::new(ctx.clone(), state_get)?)?;
    exports.export("stateSet", Function::new(ctx.clone(), state_set)?)?;
    exports.export("stateDelete", Function::new(ctx.clone(), state_delete)?)?;
    exports.export("stateNames", Function::new(ctx.clone(), state_names)?)?;
    exports.export("timerSet", Function::new(ctx.clone(), timer_set)?)?;
    exports.export("timerCancel", Function::new(ctx.clone(), timer_cancel)?)?;
    exports.export("lookupGet", Function::new(ctx.clone(), lookup_get)?)?;
    Ok(())
}

/// An error of the contract: its name, and the limit if it has one.
type Refusal = (&'static str, Option<f64>);

fn of_state(err: state::Error) -> Refusal {
    match err {
        state::Error::NoKey => ("no-key", None),
        state::Error::TooLarge(limit) => ("too-large", Some(limit as f64)),
        state::Error::BadName => ("bad-name", None),
    }
}

fn of_timers(err: timer_control::Error) -> Refusal {
    match err {
        timer_control::Error::NoKey => ("no-key", None),
        timer_control::Error::TooMany(limit) => ("too-many", Some(f64::from(limit))),
        timer_control::Error::BadName => ("bad-name", None),
    }
}

fn of_lookup(err: lookup::Error) -> Refusal {
    match err {
        lookup::Error::NotGranted => ("not-granted", None),
        lookup::Error::NotReady => ("not-ready", None),
    }
}

fn thrown(ctx: &Ctx<'_>, (kind, limit): Refusal) -> Error {
    let list = Array::new(ctx.clone()).and_then(|list| {
        list.set(0, kind)?;
        list.set(1, limit)?;
        Ok(list)
    });
    match list {
        Ok(list) => ctx.throw(list.into_value()),
        Err(err) => err,
    }
}

fn state_get<'js>(ctx: Ctx<'js>, name: Value<'js>) -> Result<Option<TypedArray<'js, u8>>> {
    refuse_while_building(&ctx, "state")?;
    let field = state::get(&text_of(&name)?).map_err(|err| thrown(&ctx, of_state(err)))?;
    field.map(|field| TypedArray::new(ctx, field)).transpose()
}

fn state_set<'js>(ctx: Ctx<'js>, name: Value<'js>, data: Value<'js>) -> Result<()> {
    refuse_while_building(&ctx, "state")?;
    let name = text_of(&name)?;
    with_bytes(&data, |bytes| state::set(&name, bytes))?.map_err(|err| thrown(&ctx, of_state(err)))
}

fn state_delete<'js>(ctx: Ctx<'js>, name: Value<'js>) -> Result<()> {
    refuse_while_building(&ctx, "state")?;
    state::delete(&text_of(&name)?).map_err(|err| thrown(&ctx, of_state(err)))
}

fn state_names<'js>(ctx: Ctx<'js>, prefix: Value<'js>) -> Result<Vec<String>> {
    refuse_while_building(&ctx, "state")?;
    state::names(&text_of(&prefix)?).map_err(|err| thrown(&ctx, of_state(err)))
}

fn timer_set<'js>(ctx: Ctx<'js>, name: Value<'js>, due: BigInt<'js>, data: Value<'js>) -> Result<()> {
    refuse_while_building(&ctx, "timers")?;
    let name = text_of(&name)?;
    // The same 64 bits: above half of their range they are those of a negative number.
    let due = due.to_i64()? as u64;
    with_bytes(&data, |bytes| timer_control::set(&name, due, bytes))?
        .map_err(|err| thrown(&ctx, of_timers(err)))
}

fn timer_cancel<'js>(ctx: Ctx<'js>, name: Value<'js>) -> Result<()> {
    refuse_while_building(&ctx, "timers")?;
    timer_control::cancel(&text_of(&name)?).map_err(|err| thrown(&ctx, of_timers(err)))
}

fn lookup_get<'js>(ctx: Ctx<'js>, table: Value<'js>, key: Value<'js>) -> Result<Option<TypedArray<'js, u8>>> {
    refuse_while_building(&ctx, "lookup")?;
    let row = lookup::get(&text_of(&table)?, &text_of(&key)?).map_err(|err| thrown(&ctx, of_lookup(err)))?;
    row.map(|row| TypedArray::new(ctx, row)).transpose()
}

/// Hands over the bytes of an array, or of a text.
///
/// # Errors
/// A JavaScript exception if the value is neither.
fn with_bytes<T>(data: &Value<'_>, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
    if data.is_string() {
        return Ok(take(text_of(data)?.as_bytes()));
    }
    match data.as_object().and_then(Object::as_typed_array::<u8>) {
        Some(array) => Ok(take(bytes_of(array))),
        None => Err(Exception::throw_type(data.ctx(), "data is neither text nor bytes")),
    }
}
