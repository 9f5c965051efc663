//! The macros: one that makes a plugin, and one per log level.

/// Makes a function the plugin's handler.
///
/// ```
/// # use wasmill_sdk::{Event, Output};
/// # fn handle(_: Event) -> Option<Output> { None }
/// wasmill_sdk::plugin!(handle);
/// ```
///
/// The handler takes an [`Event`](crate::Event) and returns anything in [`IntoOutputs`](crate::IntoOutputs). The
/// component describes itself with the package's name, version and description, and with the subjects named here, in
/// this order; both lists are optional.
///
/// ```
/// # use wasmill_sdk::{RawEvent, Output};
/// # fn handle(_: RawEvent) -> Vec<Output> { Vec::new() }
/// wasmill_sdk::plugin! {
///     handler: handle,
///     subjects: ["payments.>"],
///     emits: ["alerts.>"],
/// }
/// ```
///
/// Outside of Wasm nothing is exported, so that the crate is tested like any other.
#[macro_export]
macro_rules! plugin {
    ($handler:path $(,)?) => {
        $crate::plugin! { handler: $handler }
    };
    (
        handler: $handler:path
        $(, subjects: [$($subject:expr),* $(,)?])?
        $(, emits: [$($emit:expr),* $(,)?])?
        $(,)?
    ) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::bindings::exports::wasmill::plugin::{description, handler};

            struct Plugin;

            impl handler::Guest for Plugin {
                fn handle(event: handler::Event) -> ::core::result::Result<::std::vec::Vec<handler::Output>, handler::Failure> {
                    $crate::__private::handle($handler, event)
                }
            }

            impl description::Guest for Plugin {
                fn describe() -> description::About {
                    $crate::__private::describe($crate::__private::About {
                        name: ::core::env!("CARGO_PKG_NAME"),
                        version: ::core::env!("CARGO_PKG_VERSION"),
                        summary: ::core::env!("CARGO_PKG_DESCRIPTION"),
                        subjects: &[$($($subject),*)?],
                        emits: &[$($($emit),*)?],
                    })
                }
            }

            $crate::__private::bindings::export_plugin!(Plugin with_types_in $crate::__private::bindings);
        };
        // The handler is checked, and in use, natively too.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($crate::RawEvent) -> ::core::result::Result<::std::vec::Vec<$crate::Output>, $crate::Failure> = {
            const _: [&[&str]; 2] = [&[$($($subject),*)?], &[$($($emit),*)?]];
            |event| $crate::__private::call($handler, event)
        };
    };
}

/// One line of any level.
#[doc(hidden)]
#[macro_export]
macro_rules! __line {
    ($level:ident: $($field:ident = $value:expr,)* $message:literal $(, $($args:tt)*)?) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($message $(, $($args)*)?),
            &[$((
                ::std::string::String::from(::core::stringify!($field)),
                ::std::string::ToString::to_string(&$value),
            )),*],
        )
    };
}

/// Writes a line at level trace: fields, a format string, its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($line:tt)*) => { $crate::__line!(Trace: $($line)*) };
}

/// Writes a line at level debug: fields, a format string, its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($line:tt)*) => { $crate::__line!(Debug: $($line)*) };
}

/// Writes a line at level info: fields, a format string, its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($line:tt)*) => { $crate::__line!(Info: $($line)*) };
}

/// Writes a line at level warn: fields, a format string, its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($line:tt)*) => { $crate::__line!(Warn: $($line)*) };
}

/// Writes a line at level error: fields, a format string, its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($line:tt)*) => { $crate::__line!(Error: $($line)*) };
}
