//! `wasmill new`: a plugin that builds and passes its own tests at once.
//!
//! `names` says what a plugin may be called in which language, `files` fills a template in, `sdk` finds the Rust SDK.

mod files;
mod names;
mod sdk;

use std::path::PathBuf;

use anyhow::{Context, anyhow};

use self::files::Filling;
use super::exit::Failure;
use super::language::Language;
use super::out;

/// Make a new plugin, ready to build and test
///
/// The folder holds a handler with its tests, its manifest, and all that it needs of Wasmill: nothing else has to be
/// installed but the language's own tools, which `wasmill build --install` fetches.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The plugin's name; its folder is made here
    name: String,
    /// What to write it in
    #[arg(short, long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// Rust: the folder of the wasmill-sdk crate to depend on [default: the checkout around this folder, else crates.io]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    sdk_path: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A name that is none, a folder that exists, an SDK that is not there.
pub fn run(args: &NewArgs) -> Result<(), Failure> {
    let language = args.lang;
    if args.sdk_path.is_some() && language != Language::Rust {
        return Err(Failure::usage(format_args!(
            "--sdk-path is for Rust\n  hint: a new {language} plugin gets a copy of its SDK"
        )));
    }
    let name = names::checked(&args.name, language)?;
    let here = std::env::current_dir().context("find the working directory")?;
    let folder = here.join(name.as_str());
    let sdk_dependency = match language {
        Language::Rust => sdk::dependency(&here, &folder, args.sdk_path.as_deref())?,
        _ => String::new(),
    };
    // A dangling link is there as well, though `exists` denies it.
    if folder.symlink_metadata().is_ok() {
        return Err(anyhow!("{name} exists already\n  hint: choose another name, or remove it").into());
    }
    files::write(&folder, language, &Filling { name: &name, sdk_dependency: &sdk_dependency })?;
    let commands: String = next_commands(language).iter().map(|command| format!("\n  {command}")).collect();
    out::say(format_args!(
        "{name} is ready:\n  cd {name}{commands}\nREADME.md there says how to test and to run it."
    ));
    Ok(())
}

/// What to type in the new folder. Where a test is a longer line, README.md has it.
fn next_commands(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &["cargo test", "wasmill build"],
        Language::Python => &["python3 -m unittest", "wasmill build --install"],
        Language::Javascript | Language::Typescript => &["npm ci", "npm test", "wasmill build"],
        Language::Go => &["wasmill build --install", "go test ./..."],
        Language::C | Language::Cpp | Language::Zig => &["wasmill build --install"],
    }
}
