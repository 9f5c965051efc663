//! The module `wasmill:host`: what JavaScript calls of the contract's imports, and what it does faster here.

use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::{
    BigInt, CatchResultExt as _, CaughtError, Ctx, Error, Exception, Function, Object, Result,
    String as JsString, TypedArray, Value,
};

use crate::build::refuse_while_building;
use crate::keyed;
use crate::output::text_of;
use crate::place;
use crate::world::{clock, config, log, random};

/// The native module.
pub struct Host;

/// How deep JSON may nest.
const MAX_DEPTH: usize = 512;

const NAMES: [&str; 12] = [
    "cache",
    "log",
    "now",
    "configJson",
    "configGet",
    "randomNext",
    "randomBytes",
    "encode",
    "decode",
    "decodeLossy",
    "parseJson",
    "trace",
];

impl ModuleDef for Host {
    fn declare(declared: &Declarations<'_>) -> Result<()> {
        for name in NAMES.into_iter().chain(keyed::NAMES) {
            declared.declare(name)?;
        }
        Ok(())
    }

    fn evaluate<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
        exports.export("cache", Object::new(ctx.clone())?)?;
        exports.export("log", Function::new(ctx.clone(), write_line)?)?;
        exports.export("now", Function::new(ctx.clone(), now)?)?;
        exports.export("configJson", Function::new(ctx.clone(), config_json)?)?;
        exports.export("configGet", Function::new(ctx.clone(), config_get)?)?;
        exports.export("randomNext", Function::new(ctx.clone(), random_next)?)?;
        exports.export("randomBytes", Function::new(ctx.clone(), random_bytes)?)?;
        exports.export("encode", Function::new(ctx.clone(), encode)?)?;
        exports.export("decode", Function::new(ctx.clone(), decode)?)?;
        exports.export("decodeLossy", Function::new(ctx.clone(), decode_lossy)?)?;
        exports.export("parseJson", Function::new(ctx.clone(), parse_json)?)?;
        keyed::export(ctx, exports)?;
        exports.export("trace", Function::new(ctx.clone(), |stack: String| place::trace(&stack))?)?;
        Ok(())
    }
}

fn write_line(level: u8, message: Value<'_>, fields: Vec<Value<'_>>) -> Result<()> {
    let level = match level {
        0 => log::Level::Trace,
        1 => log::Level::Debug,
        2 => log::Level::Info,
        3 => log::Level::Warn,
        _ => log::Level::Error,
    };
    let texts = fields.iter().map(text_of).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    log::log(level, &text_of(&message)?, &pairs);
    Ok(())
}

fn now(ctx: Ctx<'_>) -> Result<BigInt<'_>> {
    refuse_while_building(&ctx, "the clock")?;
    BigInt::from_u64(ctx, clock::now())
}

fn config_json(ctx: Ctx<'_>) -> Result<String> {
    refuse_while_building(&ctx, "config")?;
    Ok(config::json())
}

fn config_get<'js>(ctx: Ctx<'js>, key: Value<'js>) -> Result<Option<String>> {
    refuse_while_building(&ctx, "config")?;
    Ok(config::get(&text_of(&key)?))
}

fn random_next(ctx: Ctx<'_>) -> Result<BigInt<'_>> {
    refuse_while_building(&ctx, "random")?;
    BigInt::from_u64(ctx, random::next())
}

fn random_bytes(ctx: Ctx<'_>, length: f64) -> Result<TypedArray<'_, u8>> {
    refuse_while_building(&ctx, "random")?;
    if !(0.0..=65_536.0).contains(&length) {
        return Err(Exception::throw_range(&ctx, "random.bytes: the length is no number of bytes"));
    }
    TypedArray::new(ctx, random::bytes(length as u32))
}

fn encode<'js>(ctx: Ctx<'js>, text: Value<'js>) -> Result<TypedArray<'js, u8>> {
    TypedArray::new(ctx, text_of(&text)?.into_bytes())
}

fn decode<'js>(ctx: Ctx<'js>, data: TypedArray<'js, u8>) -> Result<JsString<'js>> {
    JsString::from_str(ctx.clone(), utf8(&ctx, bytes_of(&data))?)
}

fn decode_lossy<'js>(ctx: Ctx<'js>, data: TypedArray<'js, u8>) -> Result<JsString<'js>> {
    JsString::from_str(ctx, &String::from_utf8_lossy(bytes_of(&data)))
}

fn parse_json<'js>(ctx: Ctx<'js>, data: TypedArray<'js, u8>) -> Result<Value<'js>> {
    let bytes = bytes_of(&data);
    let text = utf8(&ctx, bytes)?;
    if is_deep(bytes) {
        return Err(Exception::throw_syntax(&ctx, &format!("it is nested more than {MAX_DEPTH} deep")));
    }
    parsed(&ctx, text)
}

/// Whether brackets nest deeper than the parser, which calls itself for each, has stack for.
fn is_deep(json: &[u8]) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

fn parsed<'js>(ctx: &Ctx<'js>, text: &str) -> Result<Value<'js>> {
    match ctx.json_parse(text).catch(ctx) {
        Ok(value) => Ok(value),
        Err(CaughtError::Exception(err)) => {
            let message = err.message().unwrap_or_default();
            let stack = err.stack().unwrap_or_default();
            let message = match place::json(&stack) {
                Some((line, column)) => format!("{message} at line {line} column {column}"),
                None => message,
            };
            Err(Exception::throw_syntax(ctx, &message))
        }
        Err(CaughtError::Error(Error::InvalidString(_))) => {
            Err(Exception::throw_syntax(ctx, "it holds a NUL"))
        }
        Err(other) => Err(other.throw(ctx)),
    }
}

fn utf8<'a>(ctx: &Ctx<'_>, bytes: &'a [u8]) -> Result<&'a str> {
    str::from_utf8(bytes).map_err(|err| {
        let message = format!("byte {} of {} is no part of a character", err.valid_up_to(), bytes.len());
        Exception::throw_type(ctx, &message)
    })
}

/// The bytes of an array, none if its buffer was detached.
pub fn bytes_of<'a>(data: &'a TypedArray<'_, u8>) -> &'a [u8] {
    // SAFETY: nothing of JavaScript runs while the slice is used.
    data.as_raw().map_or(&[], |raw| unsafe { raw.as_ref() })
}
