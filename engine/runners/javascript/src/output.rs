//! From what a handler returned to the contract's outputs.

use rquickjs::{Array, Ctx, Exception, Object, Result, Value};

use crate::host::bytes_of;
use crate::world::types::Output;

/// Reads a list of the SDK's outputs.
///
/// # Errors
/// A JavaScript exception if one of them was bent after it was made.
pub fn outputs(ctx: &Ctx<'_>, list: &Array<'_>) -> Result<Vec<Output>> {
    list.iter::<Object<'_>>().map(|item| output(ctx, &item?)).collect()
}

fn output(ctx: &Ctx<'_>, item: &Object<'_>) -> Result<Output> {
    let subject = text_field(ctx, item, "subject")?;
    let type_: Value<'_> = item.get("type")?;
    let headers: Array<'_> = item.get("headers")?;
    Ok(Output {
        subject,
        type_: if type_.is_undefined() || type_.is_null() { None } else { Some(text_of(&type_)?) },
        headers: headers.iter::<Array<'_>>().map(|pair| header(&pair?)).collect::<Result<_>>()?,
        data: data(ctx, &item.get("data")?)?,
    })
}

fn header(pair: &Array<'_>) -> Result<(String, String)> {
    Ok((text_of(&pair.get(0)?)?, text_of(&pair.get(1)?)?))
}

fn data(ctx: &Ctx<'_>, value: &Value<'_>) -> Result<Vec<u8>> {
    if value.is_string() {
        return Ok(text_of(value)?.into_bytes());
    }
    match value.as_object().and_then(|object| object.as_typed_array::<u8>()) {
        Some(array) => Ok(bytes_of(array).to_vec()),
        None => Err(Exception::throw_type(ctx, "data is neither text nor bytes")),
    }
}

/// What `migrate` made of a field; none deletes it.
///
/// # Errors
/// A JavaScript exception if it is no field.
pub fn field(ctx: &Ctx<'_>, value: &Value<'_>) -> Result<Option<Vec<u8>>> {
    if value.is_null() { Ok(None) } else { data(ctx, value).map(Some) }
}

fn text_field(ctx: &Ctx<'_>, item: &Object<'_>, name: &str) -> Result<String> {
    let value: Value<'_> = item.get(name)?;
    if value.is_string() {
        return text_of(&value);
    }
    Err(Exception::throw_type(ctx, &format!("an output's {name} is no string")))
}

/// A value as text. Half of a surrogate pair, which JavaScript allows and the contract does not, becomes U+FFFD.
///
/// # Errors
/// A JavaScript exception if the value is no string.
pub fn text_of(value: &Value<'_>) -> Result<String> {
    let Some(text) = value.as_string() else {
        return Err(Exception::throw_type(value.ctx(), &format!("a {} is no string", value.type_name())));
    };
    match text.to_string() {
        Err(rquickjs::Error::Utf8(_)) => {
            let well_formed: rquickjs::Function<'_> = value
                .ctx()
                .globals()
                .get::<_, Object<'_>>("String")?
                .get::<_, Object<'_>>("prototype")?
                .get("toWellFormed")?;
            well_formed.call((rquickjs::function::This(value.clone()),))
        }
        told => told,
    }
}
