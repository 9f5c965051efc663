//! One function for each command that runs something.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{cargo, output, print, run, say};
use crate::workspace::{CONFORMANCE, GUESTS, Workspace, place, stem};
use crate::{components, languages, tools};

/// The packages that everything but a release is built from, always the same: what cargo unifies over them is then
/// compiled once for the demo, the tests and the lints.
pub const HOST_PACKAGES: [&str; 13] = [
    "--workspace",
    "--exclude",
    GUESTS[0],
    "--exclude",
    GUESTS[1],
    "--exclude",
    GUESTS[2],
    "--exclude",
    GUESTS[3],
    "--exclude",
    GUESTS[4],
    "--exclude",
    CONFORMANCE,
];

/// `cargo xtask build`
pub fn build(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    no_arguments("build", arguments)?;
    run("wasmill, release", cargo(workspace).args(["build", "--release", "--package", "wasmill"]))?;
    components::build(workspace, false)?;
    components::place_in_examples(workspace)?;
    languages::all_runners(workspace, &workspace.binary("release", "wasmill"))?;
    say(&format!("built  {}", workspace.binary("release", "wasmill").display()));
    say(&format!("built  {}", workspace.plugins().join("*.wasm").display()));
    Ok(())
}

/// `cargo xtask demo`
pub fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build_dev_binary(workspace)?;
    components::build(workspace, false)?;
    let dir = workspace.target.join("demo");
    let placements = components::placements(workspace, &workspace.root.join("examples/demo/plugins"))?;
    if placements.is_empty() {
        bail!("examples/demo/plugins has no manifest, so the demo has nothing to run");
    }
    for placement in &placements {
        let name = stem(&placement.manifest)?;
        let plugins = dir.join("plugins");
        components::place_component(workspace, placement, &plugins.join(format!("{name}.wasm")))?;
        place(&plugins.join(format!("{name}.toml")), &std::fs::read(&placement.manifest)?)?;
    }
    let mut command = Command::new(workspace.binary("debug", "wasmill"));
    run("wasmill demo", command.arg("demo").arg("--dir").arg(&dir).args(arguments))
}

/// `cargo xtask test`
pub fn test(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let server = tools::nats_server(workspace)?;
    components::build(workspace, true)?;
    components::place_in_examples(workspace)?;
    build_dev_binary(workspace)?;
    languages::for_tests(workspace)?;
    // Who asks for certain tests wants no others.
    if arguments.is_empty() {
        components::test_examples(workspace)?;
    }
    let mut command = cargo(workspace);
    command.arg("test").args(HOST_PACKAGES);
    if !arguments.iter().any(|argument| argument.contains("fail-fast")) {
        command.arg("--no-fail-fast");
    }
    command.args(arguments);
    name_parts(workspace, &mut command, "debug", &server)?;
    run("tests", &mut command)
}

/// `cargo xtask bench`
pub fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let server = tools::nats_server(workspace)?;
    components::build(workspace, true)?;
    let mut command = cargo(workspace);
    command.args(["build", "--release", "--package", "wasmill", "--package", "wasmill-tests", "--bins"]);
    run("wasmill and its benchmark, release", &mut command)?;
    let mut command = Command::new(workspace.binary("release", "wasmill-bench"));
    command.current_dir(&workspace.root).args(arguments);
    name_parts(workspace, &mut command, "release", &server)?;
    run("benchmark", &mut command)
}

/// `cargo xtask chaos`
pub fn chaos(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let server = tools::nats_server(workspace)?;
    components::build(workspace, true)?;
    let wants_mutant = arguments.iter().any(|argument| argument == "--mutant");
    let mutants = if wants_mutant { ",wasmill-tests/mutants" } else { "" };
    let mut command = cargo(workspace);
    command.arg("build").args(HOST_PACKAGES).args(["--bin", "wasmill", "--bin", "wasmill-chaos"]);
    command.arg("--features").arg(format!("wasmill-tests/failpoints{mutants}"));
    run("wasmill with failpoints, development profile", &mut command)?;
    // A copy: the next ordinary build puts its own in the place of this one, perhaps while trials run.
    let engine = workspace.target.join("chaos/wasmill");
    place(&engine, &std::fs::read(workspace.binary("debug", "wasmill"))?)?;
    tools::make_executable(&engine)?;
    let mut command = Command::new(workspace.binary("debug", "wasmill-chaos"));
    command.current_dir(&workspace.root).args(arguments);
    name_parts(workspace, &mut command, "debug", &server)?;
    run("chaos", command.env("WASMILL_BIN", engine))
}

/// `cargo xtask simulate`
///
/// The engine is built with its deliberate defects, all switched off, in the development profile: its dependencies are then
/// those of the tests. Optimised, it takes minutes more to build and runs four times as fast.
pub fn simulate(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = cargo(workspace);
    command.arg("build").args(HOST_PACKAGES);
    command.args(["--bin", "wasmill-simulate", "--features", "wasmill-tests/mutants"]);
    let (ours, rest): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| *argument == "--optimize");
    if !ours.is_empty() {
        for package in ["wasmill", "wasmill-tests"] {
            command.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=2"));
        }
    }
    run("the simulation", &mut command)?;
    run("simulated delivery", Command::new(workspace.binary("debug", "wasmill-simulate")).args(rest))
}

/// `cargo xtask doctor`
pub fn doctor(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    no_arguments("doctor", arguments)?;
    let deny = workspace.tools().join("bin/cargo-deny");
    let rows = [
        ("rust", Some(output(Command::new("rustc").current_dir(&workspace.root).arg("--version"))?)),
        (
            "wasm target",
            tools::has_target(workspace, components::TARGET)?.then(|| components::TARGET.to_owned()),
        ),
        ("python3", output(Command::new("python3").arg("--version")).ok()),
        ("pip", output(Command::new("python3").args(["-m", "pip", "--version"])).ok()),
        ("nats-server", tools::present_nats_server(workspace)?.map(|path| path.display().to_string())),
        ("cargo-deny", tools::is_cargo_deny(&deny).then(|| deny.display().to_string())),
    ];
    for (name, found) in rows {
        let found =
            found.unwrap_or_else(|| "not here; fetched when a command needs it, if it can be".to_owned());
        print(&format!("{name:<12} {}\n", found.trim()));
    }
    Ok(())
}

fn build_dev_binary(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace);
    command.arg("build").args(HOST_PACKAGES).args(["--bin", "wasmill"]);
    run("wasmill, development profile (the first time takes minutes)", &mut command)
}

/// Tells a program where the parts are that it drives. The tests' harness reads these names; none of them may look like a
/// setting of the engine, which inherits them and refuses what it does not know.
fn name_parts(
    workspace: &Workspace,
    command: &mut Command,
    profile: &str,
    server: &std::path::Path,
) -> Result<()> {
    command
        .env("WASMILL_NATS_SERVER", server)
        .env("WASMILL_BIN", workspace.binary(profile, "wasmill"))
        .env("WASMILL_COMPONENTS", workspace.plugins())
        .env("WASMILL_TEST_GUESTS", workspace.guests())
        .env("WASMILL_LANGUAGES", workspace.languages())
        .env("WASMILL_RUNNERS", workspace.runners())
        .env("WASMILL_XTASK", std::env::current_exe()?);
    Ok(())
}

fn no_arguments(task: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        Some(argument) => bail!("cargo xtask {task} takes no arguments, and got {argument:?}"),
        None => Ok(()),
    }
}
