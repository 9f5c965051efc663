//! How a source gets into a component: the build calls the export below once, and keeps the memory that it leaves as the
//! component's own. What every instance would do again is done, up to the author's top level.

use std::cell::Cell;

use rquickjs::{Ctx, Result};

use crate::thrown::refusal;
use crate::vm::{self, Source};

thread_local! {
    static IS_BUILDING: Cell<bool> = const { Cell::new(false) };
}

/// Starts the JavaScript engine and, if a name is given, loads a source: its name, its text, and its source map or nothing,
/// each as a pointer to memory from `cabi_realloc` and a length in bytes.
///
/// The answer is null if all went well, else it points to the address and the length of what is wrong.
///
/// # Safety
/// The pointers and lengths must be of memory that the caller got from this instance and filled with UTF-8.
#[unsafe(export_name = "wasmill-build")]
unsafe extern "C" fn build(
    name: *const u8,
    name_len: usize,
    text: *const u8,
    text_len: usize,
    map: *const u8,
    map_len: usize,
) -> *const [usize; 2] {
    // SAFETY: as the caller promises.
    let given = |pointer: *const u8, length: usize| unsafe {
        if length == 0 {
            return String::new();
        }
        String::from_utf8_lossy(std::slice::from_raw_parts(pointer, length)).into_owned()
    };
    let source = Source {
        name: given(name, name_len),
        text: given(text, text_len),
        map: Some(given(map, map_len)).filter(|map| !map.is_empty()),
    };
    IS_BUILDING.set(true);
    let loaded = if source.name.is_empty() { vm::start() } else { vm::load(Some(source)).map(drop) };
    IS_BUILDING.set(false);
    match loaded {
        Ok(()) => std::ptr::null(),
        Err(fault) => {
            let told = fault.to_string().leak();
            Box::leak(Box::new([told.as_ptr() as usize, told.len()]))
        }
    }
}

/// Refuses what only an event brings.
///
/// # Errors
/// A JavaScript exception while a component is built.
pub fn refuse_while_building(ctx: &Ctx<'_>, what: &str) -> Result<()> {
    if !IS_BUILDING.get() {
        return Ok(());
    }
    let message = format!(
        "{what} is there only while an event is handled: the top level runs once, when the component is built\nhint: use it inside \
         `handle`"
    );
    Err(refusal(ctx, &message))
}
