//! A program as its author would write it: a loop over lines. Field `do` of the payload says what it does with an event.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks by printing")]

#[cfg(target_arch = "wasm32")]
mod program;

fn main() {
    #[cfg(target_arch = "wasm32")]
    program::run();
}
