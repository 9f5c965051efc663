//! What the engine answers: in a component the imports, natively a test's own values.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
mod record;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub use native::*;
#[cfg(not(target_arch = "wasm32"))]
pub use record::{Limits, Record};
#[cfg(target_arch = "wasm32")]
pub use wasm::*;
