//! The return types of a handler, and the one way from an event to its outputs.

use crate::timers::Timer;
use crate::{Event, Failure, Output, Payload, RawEvent};

/// What a handler may return: `()`, [`Output`], `Option` or `Vec` of them, or a `Result` of any of those whose error
/// becomes a [`Failure`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "return `()`, `Output`, `Option<Output>`, `Vec<Output>`, or `Result<one of these, Failure>`"
)]
pub trait IntoOutputs {
    /// The outputs in order, or the failure.
    ///
    /// # Errors
    /// The handler's own failure.
    fn into_outputs(self) -> Result<Vec<Output>, Failure>;
}

impl IntoOutputs for () {
    fn into_outputs(self) -> Result<Vec<Output>, Failure> {
        Ok(Vec::new())
    }
}

impl IntoOutputs for Output {
    fn into_outputs(self) -> Result<Vec<Output>, Failure> {
        Ok(vec![self])
    }
}

impl IntoOutputs for Vec<Output> {
    fn into_outputs(self) -> Result<Vec<Output>, Failure> {
        Ok(self)
    }
}

impl<R: IntoOutputs> IntoOutputs for Option<R> {
    fn into_outputs(self) -> Result<Vec<Output>, Failure> {
        self.map_or_else(|| Ok(Vec::new()), R::into_outputs)
    }
}

impl<R: IntoOutputs, E> IntoOutputs for Result<R, E>
where
    Failure: From<E>,
{
    fn into_outputs(self) -> Result<Vec<Output>, Failure> {
        self?.into_outputs()
    }
}

/// Decodes the event as the handler wants it and calls the handler.
///
/// # Errors
/// A reject if the payload does not decode, else what the handler says.
pub fn call<T, R>(handler: impl FnOnce(Event<T>) -> R, event: RawEvent) -> Result<Vec<Output>, Failure>
where
    T: Payload,
    R: IntoOutputs,
{
    handler(event.decode()?).into_outputs()
}

/// Decodes the timer's data as the handler wants it and calls the handler.
///
/// # Errors
/// A reject if the data does not decode, else what the handler says.
pub fn fire<T, R>(handler: impl FnOnce(Timer<T>) -> R, timer: Timer) -> Result<Vec<Output>, Failure>
where
    T: Payload,
    R: IntoOutputs,
{
    handler(timer.decode()?).into_outputs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_type_counts_its_outputs() {
        let output = || Output::bytes("a", "1");
        let counts = [
            ().into_outputs(),
            output().into_outputs(),
            None::<Output>.into_outputs(),
            Some(output()).into_outputs(),
            vec![output(), output()].into_outputs(),
            Ok::<_, Failure>(Some(output())).into_outputs(),
            Some(Output::json("a", &1)).into_outputs(),
            serde_json::from_str::<u8>("1").map(|_| ()).into_outputs(),
        ]
        .map(|outputs| outputs.unwrap().len());
        assert_eq!(counts, [0, 1, 0, 1, 2, 1, 1, 0]);
        assert_eq!(crate::reject::<()>("no").into_outputs(), Err(Failure::reject("no")));
    }
}
