//! Two drafts of WASI that components often carry, served by what the engine has: logging and configuration. The border is
//! in `engine/wit/deps`.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use super::host::{CallState, refuse};

/// The names that the logging draft has been known by.
const LOGGING: [&str; 2] = ["wasi:logging/logging", "wasi:logging/logging@0.1.0-draft"];
/// The names that the configuration draft has been known by. Versions of drafts match exactly only.
const CONFIG: [&str; 3] =
    ["wasi:config/runtime@0.2.0-draft", "wasi:config/store@0.2.0-draft", "wasi:config/store@0.2.0-rc.1"];

/// `level` of the logging draft.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting what a guest hands over")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

/// `error` of the configuration draft.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the table is always there, so that there is never an error")]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

/// Whether an import is served here.
pub(super) fn serves(import: &str) -> bool {
    LOGGING.contains(&import) || CONFIG.contains(&import)
}

/// Links both.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for name in LOGGING {
        linker.instance(name)?.func_wrap(
            "log",
            |mut store: StoreContextMut<'_, CallState>, line: (Level, String, String)| {
                log(store.data_mut(), line)
            },
        )?;
    }
    for name in CONFIG {
        let mut config = linker.instance(name)?;
        config.func_wrap("get", |mut store: StoreContextMut<'_, CallState>, (key,): (String,)| {
            let state = store.data_mut();
            state.enter()?;
            Ok((Ok::<_, ConfigError>(state.shared.values.get(&key).cloned()),))
        })?;
        config.func_wrap("get-all", |mut store: StoreContextMut<'_, CallState>, (): ()| {
            let state = store.data_mut();
            state.enter()?;
            let all = state.shared.values.iter().map(|(key, value)| (key.clone(), value.clone()));
            Ok((Ok::<_, ConfigError>(all.collect::<Vec<_>>()),))
        })?;
    }
    Ok(())
}

fn log(state: &mut CallState, (level, context, message): (Level, String, String)) -> wasmtime::Result<()> {
    state.enter()?;
    let level = match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error | Level::Critical => tracing::Level::ERROR,
    };
    let context = (!context.is_empty()).then(|| ("context".to_owned(), context));
    state.log.line(level, message, context.into_iter().collect()).map_err(refuse)
}
