//! A place for an engine: a plugin directory, a data directory, and the engine itself, in this process or in one of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use wasmill::bus::Bus;
use wasmill::manifest::PluginName;
use wasmill::status::{PluginState, PluginStatus};
use wasmill::supervisor::{DeliverySettings, Engine, EngineSettings};
use wasmill::telemetry::Telemetry;

use crate::parts;

/// How long a test waits for something that must come. Generous, because the machine may have other work.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How old a file is that nobody is still writing.
const SETTLED: Duration = Duration::from_secs(600);

/// The directories of one engine, gone when dropped.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// Empty directories. Compiled code is shared between tests: it depends on nothing but the component.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let shared = parts::target()?.join("test-cache/wasmill/compiled");
        private_dir(&shared)?;
        std::fs::create_dir_all(dir.path().join("plugins"))?;
        std::fs::create_dir_all(dir.path().join("data"))?;
        std::os::unix::fs::symlink(&shared, dir.path().join("data/compiled"))?;
        Ok(Self { dir })
    }

    /// The plugin directory.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a plugin into the directory: the manifest first, then the component, renamed into place.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put(&self, name: &str, component: &[u8], manifest: &str) -> Result<()> {
        self.put_manifest(name, manifest)?;
        self.put_component(name, component)
    }

    /// Replaces a component by renaming over it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put_component(&self, name: &str, component: &[u8]) -> Result<()> {
        self.rename_over(&format!("{name}.wasm"), component)
    }

    /// Replaces a manifest by renaming over it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put_manifest(&self, name: &str, manifest: &str) -> Result<()> {
        self.rename_over(&format!("{name}.toml"), manifest.as_bytes())
    }

    /// Replaces a file, which looks as if it had been lying there for a while, so that it is judged at once.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put_settled(&self, file: &str, bytes: &[u8]) -> Result<()> {
        self.put_file(file, bytes, Some(SystemTime::now() - SETTLED))
    }

    fn rename_over(&self, file: &str, bytes: &[u8]) -> Result<()> {
        self.put_file(file, bytes, None)
    }

    fn put_file(&self, file: &str, bytes: &[u8], modified: Option<SystemTime>) -> Result<()> {
        let draft = self.plugins().join(format!(".{file}.draft"));
        std::fs::write(&draft, bytes)?;
        if let Some(modified) = modified {
            std::fs::File::options().write(true).open(&draft)?.set_modified(modified)?;
        }
        std::fs::rename(draft, self.plugins().join(file))?;
        Ok(())
    }

    /// Starts an engine in this process.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(&self, bus: Arc<dyn Bus>) -> Result<Running> {
        self.start_with(bus, DeliverySettings::default()).await
    }

    /// Starts an engine in this process that refuses plugins whose streams do not keep what is promised.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_strict(&self, bus: Arc<dyn Bus>) -> Result<Running> {
        self.start_with(bus, DeliverySettings { strict: true, ..DeliverySettings::default() }).await
    }

    async fn start_with(&self, bus: Arc<dyn Bus>, delivery: DeliverySettings) -> Result<Running> {
        let settings = EngineSettings {
            plugins_dir: self.plugins(),
            data_dir: self.data(),
            runner_dirs: parts::runner_dirs()?,
            compiler: parts::wasmill()?,
            streams: Vec::new(),
            delivery,
        };
        let telemetry = Telemetry::new();
        let engine = Engine::start(settings, bus, telemetry.clone()).await?;
        Ok(Running { engine, telemetry })
    }

    /// Starts an engine in a process of its own, on a NATS server.
    ///
    /// # Errors
    /// If it does not start or does not say where it listens.
    pub fn spawn(&self, nats: &str) -> Result<Process> {
        Process::start(&mut self.command(nats)?)
    }

    /// The command that starts an engine on a NATS server.
    ///
    /// # Errors
    /// If the disk refuses, or there is no engine.
    pub fn command(&self, nats: &str) -> Result<Command> {
        let config = self.file("wasmill.toml");
        let text = format!(
            "[bus]\nurl = \"{nats}\"\n[plugins]\ndir = \"plugins\"\n[data]\ndir = \"data\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n"
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(parts::wasmill()?);
        command.arg("run").arg("-c").arg(&config);
        Ok(command)
    }
}

#[cfg(unix)]
fn private_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(())
}

/// An engine in this process.
pub struct Running {
    /// The engine.
    pub engine: Engine,
    /// Its metrics.
    pub telemetry: Telemetry,
}

impl Running {
    /// Waits until something holds of a plugin's status.
    ///
    /// # Errors
    /// If it does not come to hold; the error shows the status at the end.
    pub async fn until(
        &self,
        plugin: &str,
        what: &str,
        holds: impl Fn(&PluginStatus) -> bool,
    ) -> Result<PluginStatus> {
        let name = PluginName::new(plugin)?;
        let mut changes = self.engine.changes();
        let wait = async {
            loop {
                if let Some(status) = self.engine.plugin(&name).filter(&holds) {
                    return status;
                }
                // Counters change without a signal.
                let _changed = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.with_context(|| format!("{plugin}: never {what}: {:#?}", self.engine.plugin(&name)))
    }

    /// Waits until a plugin runs, with this component digest if one is given.
    ///
    /// # Errors
    /// If it does not.
    pub async fn running(&self, plugin: &str, component: Option<&[u8]>) -> Result<PluginStatus> {
        let wanted = component.map(|bytes| wasmill::digest::Digest::of(bytes).to_string());
        self.until(plugin, "running", |status| {
            let digest = status.running.as_ref().map(|running| &running.digest);
            status.state == PluginState::Running && (wanted.is_none() || digest == wanted.as_ref())
        })
        .await
    }

    /// Waits until as many deliveries have ended, in whatever way.
    ///
    /// # Errors
    /// If they do not.
    pub async fn ended(&self, plugin: &str, count: u64) -> Result<PluginStatus> {
        self.until(plugin, &format!("through with {count} deliveries"), |status| {
            let c = &status.counters;
            c.done + c.retried + c.dead_lettered + c.dropped >= count && c.in_flight == 0
        })
        .await
    }
}

/// An engine in a process of its own, killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    admin: String,
}

impl Process {
    /// Starts a command that ends up as `wasmill run` with JSON logs, and waits until it says where it listens.
    ///
    /// # Errors
    /// If it ends before; the error has its log.
    pub fn start(command: &mut Command) -> Result<Self> {
        let (mut process, told) = Self::begin(command)?;
        match told.recv_timeout(PATIENCE) {
            Ok(address) => process.admin = format!("http://{address}"),
            Err(_) => bail!("the engine does not say where it listens:\n{}", process.log()),
        }
        Ok(process)
    }

    /// Starts a command, and waits for nothing.
    ///
    /// # Errors
    /// If it does not start.
    pub fn launch(command: &mut Command) -> Result<Self> {
        Self::begin(command).map(|(process, _)| process)
    }

    fn begin(command: &mut Command) -> Result<(Self, Receiver<String>)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no standard error")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let (tell, told) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    // Only the first one is awaited.
                    let _heard = tell.send(address);
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok((Self { child, log, reader: Some(reader), admin: String::new() }, told))
    }

    /// How it ended, if it has; from then on its log is whole.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some()
            && let Some(reader) = self.reader.take()
        {
            // It ends with the pipe, and a reader that panicked has ended too.
            let _ended = reader.join();
        }
        Ok(status)
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// The address of its HTTP side.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once: SIGKILL.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal, as `kill -NAME` does.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status()?;
        if sent.success() { Ok(()) } else { bail!("kill -{name} failed") }
    }

    /// Waits for its end and tells its exit code; none if a signal ended it.
    ///
    /// # Errors
    /// If it does not end.
    pub fn exit_code(mut self) -> Result<Option<i32>> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status.code());
            }
            if std::time::Instant::now() > deadline {
                bail!("the engine does not end:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One page of its HTTP side: the status code and the text.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn page(&self, path: &str) -> Result<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("{}{path}", self.admin)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The address in the JSON log line that tells it.
fn listening(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let (_, address) = line.get("message")?.as_str()?.split_once("API at http://")?;
    let address: std::net::SocketAddr = address.trim_end_matches('/').parse().ok()?;
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_one_line_only() {
        for (line, wanted) in [
            (
                r#"{"level":"INFO","message":"health, metrics and API at http://127.0.0.1:9464"}"#,
                Some("127.0.0.1:9464"),
            ),
            (r#"{"message":"health, metrics and API at http://[::1]:80"}"#, Some("[::1]:80")),
            (r#"{"message":"health, metrics and API at http://nowhere"}"#, None),
            (r#"{"message":"running"}"#, None),
            ("health, metrics and API at http://127.0.0.1:9464", None),
        ] {
            assert_eq!(listening(line).as_deref(), wanted, "{line}");
        }
    }
}
