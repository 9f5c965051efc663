//! Flags that every command with a configuration shares, and reading it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::exit::Failure;
use crate::bus::Bus;
use crate::bus::nats::NatsBus;
use crate::config::layers::{FlagSetting, Loaded, Sources, load};
use crate::config::{DEFAULT_FILE, Settings};

/// Which configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FileFlag {
    /// The configuration [default: wasmill.toml, if there is one]
    #[arg(short, long, value_name = "FILE", env = "WASMILL_CONFIG", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
}

/// Which bus.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BusFlag {
    /// The NATS server, in place of `bus.url`
    #[arg(long, value_name = "URL", help_heading = "Configuration")]
    pub bus_url: Option<String>,
}

/// Flags of the commands that run an engine or show what one would run with.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EngineFlags {
    /// The configuration.
    #[command(flatten)]
    pub file: FileFlag,
    /// The bus.
    #[command(flatten)]
    pub bus: BusFlag,
    /// The watched folder, in place of `plugins.dir`
    #[arg(long, value_name = "DIR", help_heading = "Configuration")]
    pub plugins_dir: Option<String>,
    /// Where the HTTP API listens, in place of `admin.listen`; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", help_heading = "Configuration")]
    pub admin_listen: Option<String>,
    /// The folder of the engine's own files, in place of `data.dir`
    #[arg(long, value_name = "DIR", help_heading = "Configuration")]
    pub data_dir: Option<String>,
    /// What to log, in place of `log.level`
    #[arg(long, value_name = "LEVEL", help_heading = "Configuration")]
    pub log_level: Option<String>,
}

/// Where a command finds the bus that it works on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    #[command(flatten)]
    config: FileFlag,
    #[command(flatten)]
    bus: BusFlag,
}

impl Place {
    /// Connects, does something, and closes the connection.
    ///
    /// # Errors
    /// What is wrong with the configuration; exit code 3 if there is no bus; and what comes of it.
    pub fn visit<F: Future<Output = Result<(), Failure>>>(
        &self,
        visit: impl FnOnce(Arc<dyn Bus>) -> F,
    ) -> Result<(), Failure> {
        let settings = self.bus.load(&self.config)?.settings()?;
        runtime()?.block_on(async {
            let bus = connect(&settings).await?;
            let ended = visit(Arc::clone(&bus)).await;
            // All that was published has been answered, so nothing is lost if this fails.
            drop(bus.close().await);
            ended
        })
    }
}

impl BusFlag {
    fn setting(&self) -> Option<FlagSetting> {
        flag("--bus-url", "bus.url", self.bus_url.as_ref())
    }

    /// The configuration with this flag on top.
    ///
    /// # Errors
    /// All findings.
    pub fn load(&self, file: &FileFlag) -> Result<Loaded, Failure> {
        read(file, self.setting().into_iter().collect())
    }
}

impl EngineFlags {
    /// The configuration with these flags on top.
    ///
    /// # Errors
    /// All findings.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let flags = [
            self.bus.setting(),
            flag("--plugins-dir", "plugins.dir", self.plugins_dir.as_ref()),
            flag("--admin-listen", "admin.listen", self.admin_listen.as_ref()),
            flag("--data-dir", "data.dir", self.data_dir.as_ref()),
            flag("--log-level", "log.level", self.log_level.as_ref()),
        ];
        read(&self.file, flags.into_iter().flatten().collect())
    }
}

fn flag(flag: &'static str, key: &'static str, value: Option<&String>) -> Option<FlagSetting> {
    value.map(|value| FlagSetting { flag, key, value: value.clone() })
}

/// The configuration without any flag on top.
///
/// # Errors
/// All findings.
pub fn read_plain(file: &FileFlag) -> Result<Loaded, Failure> {
    read(file, Vec::new())
}

fn read(file: &FileFlag, flags: Vec<FlagSetting>) -> Result<Loaded, Failure> {
    let path =
        file.config.clone().or_else(|| PathBuf::from(DEFAULT_FILE).is_file().then(|| DEFAULT_FILE.into()));
    let file = match path {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("configuration {}", path.display()))?;
            Some((path, text))
        }
    };
    Ok(load(&Sources { file, env: std::env::vars_os().collect(), flags })?)
}

/// Where to look for the runners of source plugins: in the folder that is configured, else in `runners` beside the program
/// and one above it.
///
/// # Errors
/// If the system does not tell where the program is.
pub fn runner_dirs(configured: Option<&PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    if let Some(dir) = configured {
        return Ok(vec![dir.clone()]);
    }
    let program = std::env::current_exe().context("find this program's own file")?;
    Ok(program.ancestors().skip(1).take(2).map(|dir| dir.join("runners")).collect())
}

/// Connects to the bus that the settings name.
///
/// # Errors
/// Exit code 3 if there is none.
pub async fn connect(settings: &Settings) -> Result<Arc<dyn Bus>, Failure> {
    let bus = NatsBus::connect(settings.bus.clone()).await.map_err(Failure::bus)?;
    Ok(bus)
}

/// The runtime of the commands that talk to a bus.
///
/// # Errors
/// If the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?)
}
