//! `wasmill build`: from a plugin's sources to a checked component, whatever they are written in.
//!
//! `project` reads what is to be built, `tools` finds what builds it in the versions that `pins` reads, `install`
//! fetches that, `process` runs it, and `place` writes the result. The other files are the recipes, one for each tool
//! chain.

mod go;
mod install;
mod javascript;
mod native;
mod pins;
mod place;
mod process;
mod project;
mod python;
mod rust;
mod strip;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use self::pins::Registry;
use self::project::{BUILD_FOLDER, Project};
use self::tools::{Tool, Toolbox};
use super::check::{Report, check_before_placing};
use super::exit::{Exit, Failure};
use super::language::Language;
use super::out;
use super::settings::runner_dirs;
use crate::digest::Digest;
use crate::sandbox::componentize;

/// Build a plugin from its sources
///
/// Reads build.toml, or Cargo.toml of a plugin in Rust, runs the language's tools, checks the component as `wasmill check`
/// does, and writes it with its manifest beside it. A component that the engine would refuse is not written.
///
/// Tools are looked for in the project's .tools and node_modules, in the folder that WASMILL_TOOLS names, and on the PATH.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// The folder of the plugin's sources
    #[arg(default_value = ".", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
    /// Fetch the tools first, in the versions that the project pins, into its .tools or the folder that WASMILL_TOOLS names
    #[arg(long)]
    install: bool,
    /// Where to write the component and its manifest, such as an engine's plugin directory [default: DIR/build]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// JavaScript: where javascript-plugin.wasm is [default: runners beside the program or one above]
    #[arg(long, value_name = "DIR", env = "WASMILL_PLUGINS__RUNNERS", value_hint = clap::ValueHint::DirPath)]
    runners: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A folder that is no project, a missing tool, what a tool or the check refuses.
pub fn run(args: &BuildArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let project = Project::read(&args.folder)?;
    // What is said names files as the user would.
    let out_folder = args.out.clone().unwrap_or_else(|| match args.folder.as_path() {
        here if here == Path::new(".") => PathBuf::from(BUILD_FOLDER),
        _ => args.folder.join(BUILD_FOLDER),
    });
    let file = out_folder.join(format!("{}.wasm", project.name));
    out::say(format_args!("building {} ({})", project.name, project.language));
    let made = compile(&project, args)?;
    let component = componentize(&made).with_context(|| format!("make a component of {}", project.name))?;
    let report = check_before_placing(&file, &component, &project.manifest())?;
    if !report.faults.is_empty() {
        out::say(report.text());
        return Err(Failure::silent(Exit::Refused));
    }
    place::place(&project, &component, &out_folder)?;
    say_done(&report, &component, began, args.out.is_some());
    Ok(())
}

/// A tool chain.
struct Recipe {
    /// What it needs.
    tools: &'static [&'static Tool],
    /// What it does: a component, or a core module that can be made one.
    compile: fn(&Toolbox<'_>) -> anyhow::Result<Vec<u8>>,
}

fn compile(project: &Project, args: &BuildArgs) -> Result<Vec<u8>, Failure> {
    let (Some(recipe), Some(registry)) = (recipe(project.language), Registry::of(project.language)) else {
        return Ok(rust::compile(project, args.install)?);
    };
    let toolbox = Toolbox::new(project, registry, runner_dirs(args.runners.as_ref())?)?;
    if args.install {
        install::install(&toolbox, registry, recipe.tools)?;
    }
    Ok((recipe.compile)(&toolbox)?)
}

fn say_done(report: &Report, component: &[u8], began: Instant, is_placed: bool) {
    let (file, name) = (report.file.display(), report.file.file_stem().unwrap_or_default().display());
    for warning in &report.warnings {
        out::say(format_args!("warning: {warning}"));
    }
    let next = if report.manifest.is_none() {
        format!("write {name}.toml, the manifest: `wasmill new` makes one to start from")
    } else if is_placed {
        format!("wasmill plugin show {name}, if an engine watches that folder")
    } else {
        format!("cp {} {file} PLUGIN_DIRECTORY/", report.file.with_extension("toml").display())
    };
    out::say(format_args!(
        "{file}: built and checked\n  size    {} bytes\n  digest  {}\n  time    {:.1} s\n  next    {next}",
        out::grouped(component.len() as u64),
        Digest::of(component),
        began.elapsed().as_secs_f64(),
    ));
}

/// The tool chain of a language; none for Rust, whose cargo fetches its tools itself.
fn recipe(language: Language) -> Option<Recipe> {
    match language {
        Language::Rust => None,
        Language::Python => Some(python::RECIPE),
        Language::Go => Some(go::RECIPE),
        Language::C => Some(native::C),
        Language::Cpp => Some(native::CPP),
        Language::Zig => Some(native::ZIG),
        Language::Javascript => Some(javascript::JAVASCRIPT),
        Language::Typescript => Some(javascript::TYPESCRIPT),
    }
}
