//! The macros: one that makes a plugin, and one per log level.

/// Makes a function the plugin's handler.
///
/// ```
/// # use wasmill_sdk::{Event, Output};
/// # fn handle(_: Event) -> Option<Output> { None }
/// wasmill_sdk::plugin!(handle);
/// ```
///
/// The handler takes an [`Event`](crate::Event) and returns anything in [`IntoOutputs`](crate::IntoOutputs). Two more
/// functions are for plugins with a `key`: one for their [timers](crate::timers), which takes a
/// [`Timer`](crate::timers::Timer) and returns the same, and one that [migrates](crate::migrate) their state.
///
/// ```
/// # use wasmill_sdk::{Event, Output, migrate::{Field, Migrated}, timers::Timer};
/// # fn handle(_: Event) -> Option<Output> { None }
/// # fn on_timer(_: Timer) -> Option<Output> { None }
/// # fn migrate(field: Field) -> Migrated { field.keep() }
/// wasmill_sdk::plugin!(handle, timers = on_timer, migrate = migrate);
/// ```
///
/// The component describes itself with the package's name, version and description, and with the subjects named in the
/// long form. All but the handler is optional, in this order.
///
/// ```
/// # use wasmill_sdk::{RawEvent, Output, migrate::{Field, Migrated}, timers::Timer};
/// # fn handle(_: RawEvent) -> Vec<Output> { Vec::new() }
/// # fn on_timer(_: Timer) -> Option<Output> { None }
/// # fn migrate(field: Field) -> Migrated { field.keep() }
/// wasmill_sdk::plugin! {
///     handler: handle,
///     timers: on_timer,
///     migrate: migrate,
///     subjects: ["payments.>"],
///     emits: ["alerts.>"],
/// }
/// ```
///
/// Outside of Wasm nothing is exported, so that the crate is tested like any other.
#[macro_export]
macro_rules! plugin {
    ($handler:path $(, timers = $timers:path)? $(, migrate = $migrate:path)? $(,)?) => {
        $crate::plugin! { handler: $handler $(, timers: $timers)? $(, migrate: $migrate)? }
    };
    (
        handler: $handler:path
        $(, timers: $timers:path)?
        $(, migrate: $migrate:path)?
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
        $($crate::__timers!($timers);)?
        $($crate::__migrate!($migrate);)?
    };
}

/// Makes a function the plugin's timers handler.
#[doc(hidden)]
#[macro_export]
macro_rules! __timers {
    ($timers:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::timers_bindings::exports::wasmill::plugin::timers;

            struct Plugin;

            impl timers::Guest for Plugin {
                fn on_timer(
                    timer: timers::Timer,
                ) -> ::core::result::Result<::std::vec::Vec<timers::Output>, timers::Failure> {
                    $crate::__private::on_timer($timers, timer)
                }
            }

            $crate::__private::timers_bindings::export_timers!(Plugin with_types_in $crate::__private::timers_bindings);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($crate::timers::Timer) -> ::core::result::Result<::std::vec::Vec<$crate::Output>, $crate::Failure> =
            |timer| $crate::__private::fire($timers, timer);
    };
}

/// Makes a function the plugin's migrate function.
#[doc(hidden)]
#[macro_export]
macro_rules! __migrate {
    ($migrate:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::migrate_bindings::exports::wasmill::plugin::migrate;

            struct Plugin;

            impl migrate::Guest for Plugin {
                fn migrate_field(
                    from_version: ::std::string::String,
                    name: ::std::string::String,
                    value: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<::core::option::Option<::std::vec::Vec<u8>>, ::std::string::String> {
                    $crate::__private::migrate_field($migrate, from_version, name, value)
                }
            }

            $crate::__private::migrate_bindings::export_migrate!(
                Plugin with_types_in $crate::__private::migrate_bindings
            );
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($crate::migrate::Field) -> $crate::migrate::Migrated = $migrate;
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
