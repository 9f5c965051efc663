//! `wasmill build-ahead`: makes the runner of a language whose interpreter is compiled to a core module. What builds the
//! engine runs it.

use std::path::PathBuf;

use anyhow::{Context, anyhow};

use super::exit::Failure;
use crate::sandbox::componentize;
use crate::sandbox::snapshot::{Source, snapshot};

/// Start an interpreter ahead of time and make a component of it
#[derive(Debug, clap::Args)]
pub struct AheadArgs {
    /// The interpreter, a core module
    module: PathBuf,
    /// Where to write the component
    component: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or written, or a module that is no interpreter.
pub fn run(args: &AheadArgs) -> Result<(), Failure> {
    let module = std::fs::read(&args.module).with_context(|| format!("read {}", args.module.display()))?;
    let started = snapshot(&module, Source::default()).map_err(|err| anyhow!(err))?;
    let component = componentize(&started).map_err(|err| anyhow!(err))?;
    std::fs::write(&args.component, component)
        .with_context(|| format!("write {}", args.component.display()))?;
    Ok(())
}
