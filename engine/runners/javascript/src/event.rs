//! From the contract's event and timer to the arguments that the SDK makes its own of.

use rquickjs::function::Args;
use rquickjs::{Array, BigInt, Ctx, Function, IntoJs, Object, Result, TypedArray, Undefined};

use crate::world::types::{Event, Timer};

/// The handler and an event's fields in the order of the contract. The payload is handed over without a copy.
///
/// # Errors
/// A JavaScript exception if the memory ran out.
pub fn arguments<'js>(ctx: &Ctx<'js>, handle: Function<'js>, event: Event) -> Result<Args<'js>> {
    let mut args = Args::new(ctx.clone(), 11);
    args.push_arg(handle)?;
    args.push_arg(event.id)?;
    args.push_arg(event.source)?;
    args.push_arg(event.type_)?;
    args.push_arg(event.subject)?;
    args.push_arg(BigInt::from_u64(ctx.clone(), event.time)?)?;
    push_option(&mut args, event.key)?;
    args.push_arg(headers(ctx, event.headers)?)?;
    args.push_arg(TypedArray::new(ctx.clone(), event.data)?)?;
    // The engine's integers have 31 bits: what is larger would come out negative.
    args.push_arg(f64::from(event.attempt))?;
    push_option(&mut args, event.reply_to)?;
    Ok(args)
}

/// The author's module and a timer's fields in the order of the contract.
///
/// # Errors
/// A JavaScript exception if the memory ran out.
pub fn timer_arguments<'js>(ctx: &Ctx<'js>, module: Object<'js>, timer: Timer) -> Result<Args<'js>> {
    let mut args = Args::new(ctx.clone(), 5);
    args.push_arg(module)?;
    args.push_arg(timer.name)?;
    args.push_arg(timer.key)?;
    args.push_arg(BigInt::from_u64(ctx.clone(), timer.due)?)?;
    args.push_arg(TypedArray::new(ctx.clone(), timer.data)?)?;
    Ok(args)
}

fn push_option(args: &mut Args<'_>, value: Option<String>) -> Result<()> {
    match value {
        Some(text) => args.push_arg(text),
        None => args.push_arg(Undefined),
    }
}

fn headers<'js>(ctx: &Ctx<'js>, headers: Vec<(String, String)>) -> Result<Array<'js>> {
    let list = Array::new(ctx.clone())?;
    for (index, (name, value)) in headers.into_iter().enumerate() {
        let pair = Array::new(ctx.clone())?;
        pair.set(0, name.into_js(ctx)?)?;
        pair.set(1, value.into_js(ctx)?)?;
        list.set(index, pair)?;
    }
    Ok(list)
}
