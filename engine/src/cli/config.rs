//! `wasmill config`: checks, shows and describes the configuration.

use anyhow::anyhow;
use schemars::schema_for;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::out::{self, Format};
use super::settings::EngineFlags;
use crate::config::show;
use crate::manifest::Manifest;

/// Check, show or describe the configuration
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and every manifest in the plugin folder
    Check {
        /// The configuration.
        #[command(flatten)]
        flags: EngineFlags,
        /// How to write the findings
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Show the settings in effect, secrets hidden
    Show {
        /// The configuration.
        #[command(flatten)]
        flags: EngineFlags,
        /// Say for each setting where it came from
        #[arg(long)]
        origin: bool,
        /// TOML text or json
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Print the JSON Schema of wasmill.toml, for editors
    Schema {
        /// Of plugin manifests instead
        #[arg(long)]
        manifest: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// Findings end with exit code 1.
pub fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { flags, output } => check(flags, *output),
        ConfigCommand::Show { flags, origin, output } => show_settings(flags, *origin, *output),
        ConfigCommand::Schema { manifest: false } => out::json(&schema_for!(crate::config::Config)),
        ConfigCommand::Schema { manifest: true } => out::json(&schema_for!(Manifest)),
    }
}

fn check(flags: &EngineFlags, output: Format) -> Result<(), Failure> {
    let loaded = flags.load()?;
    let settings = loaded.settings()?;
    let manifests = crate::config::manifests::check_all(&settings.plugins_dir);
    let findings: Vec<&String> = manifests.iter().filter_map(|manifest| manifest.fault.as_ref()).collect();
    match output {
        Format::Json => out::json(&json!({ "ok": findings.is_empty(), "manifests": manifests }))?,
        Format::Text => {
            let file =
                loaded.file.as_ref().map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
            out::data(format_args!("{file}: ok"))?;
            for manifest in &manifests {
                match &manifest.fault {
                    None => out::data(format_args!("{}: ok", manifest.path.display()))?,
                    Some(fault) => out::data(fault)?,
                }
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::silent(Exit::Refused)) }
}

fn show_settings(flags: &EngineFlags, origin: bool, output: Format) -> Result<(), Failure> {
    let loaded = flags.load()?;
    let table = show::effective(&loaded, &loaded.settings()?)?;
    match (origin, output) {
        (false, Format::Text) => out::data(toml::to_string(&table)?.trim_end()),
        (false, Format::Json) => out::json(&table),
        (true, Format::Text) => {
            let lines: Vec<Vec<String>> = show::with_origins(&loaded, &table)
                .into_iter()
                .map(|(key, value, origin)| vec![format!("{key} = {value}"), format!("# {origin}")])
                .collect();
            out::data(out::table(&lines, &[]))
        }
        (true, Format::Json) => {
            let mut settings = serde_json::Map::new();
            for (key, value, origin) in show::with_origins(&loaded, &table) {
                let value: toml::Table = format!("value = {value}").parse()?;
                let value = value.get("value").ok_or_else(|| anyhow!("{key} has no value"))?;
                settings.insert(key, json!({ "value": value, "origin": origin.to_string() }));
            }
            out::json(&settings)
        }
    }
}
