//! A real NATS server for each test that wants one: on a port of its own, with a store of its own, gone when dropped.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;

mod cluster;

pub use cluster::Cluster;

/// The oldest server the tests are meant for: major and minor version.
const OLDEST: (u32, u32) = (2, 12);
/// How long a server may take until it says that it is ready.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// What the server logs when it takes connections.
const READY: &str = "Server is ready";
/// What it logs before the address that it listens on.
const LISTENING: &str = "Listening for client connections on ";

/// A running server.
pub struct NatsServer {
    running: Option<Running>,
    port: u16,
    home: TempDir,
    options: Options,
}

struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
}

/// How a server is set up beside JetStream and its port.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Text for the configuration file: authorization, TLS, limits.
    pub config: String,
}

impl NatsServer {
    /// Starts a server without authorization.
    ///
    /// # Errors
    /// There is no server program, or it does not come up; the error holds what it logged.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// Starts a server with more text in its configuration file.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn start_with(options: Options) -> Result<Self> {
        let home = TempDir::new().context("make a folder for the server")?;
        let mut server = Self { running: None, port: 0, home, options };
        server.launch()?;
        Ok(server)
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port it listens on, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id; none while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// A folder of the test's own, gone with the server.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Ends the server as a power cut would: it cannot say goodbye or save anything.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill().context("kill nats-server")?;
            running.child.wait().context("wait for nats-server to end")?;
        }
        Ok(())
    }

    /// Ends the server in good order: it hands its leaderships over first.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            let pid = running.child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().context("stop nats-server")?;
            running.child.wait().context("wait for nats-server to end")?;
        }
        Ok(())
    }

    /// Starts it again on the same port with the same store. Kills it first if it runs.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.launch()
    }

    /// What it has logged since it was started last, for a failing test to show.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    fn launch(&mut self) -> Result<()> {
        let config = self.home.path().join("server.conf");
        std::fs::write(&config, &self.options.config).context("write the server's configuration")?;
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let mut child = Command::new(program()?)
            .args(["--addr", "127.0.0.1", "--port", &port, "--jetstream", "--store_dir"])
            .arg(self.home.path().join("store"))
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start nats-server")?;
        let log = Arc::new(Mutex::new(String::new()));
        let lines = read_lines(&mut child, Arc::clone(&log))?;
        let mut running = Running { child, log };
        match wait_until_ready(&lines) {
            Ok(port) => {
                self.port = port;
                self.running = Some(running);
                Ok(())
            }
            Err(reason) => {
                // It may have ended already, which is as good.
                let _ = running.child.kill();
                let _ = running.child.wait();
                bail!("nats-server {reason}; it logged:\n{}", running.log())
            }
        }
    }
}

impl Running {
    fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Nothing is left to do about a server that cannot be killed.
        let _ = self.kill();
    }
}

/// Collects the log for as long as the server lives, and passes each line on to who waits for it to come up.
fn read_lines(child: &mut Child, log: Arc<Mutex<String>>) -> Result<Receiver<String>> {
    let stderr = child.stderr.take().ok_or_else(|| anyhow!("nats-server has no standard error"))?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Writing to a string does not fail, and after the start nobody listens.
            let _ = writeln!(log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
            let _ = sender.send(line);
        }
    });
    Ok(lines)
}

fn wait_until_ready(lines: &Receiver<String>) -> Result<u16, String> {
    let mut port = None;
    loop {
        let line = lines.recv_timeout(START_PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("did not say within {START_PATIENCE:?} that it is ready"),
            RecvTimeoutError::Disconnected => "ended at once".to_owned(),
        })?;
        if let Some((_, address)) = line.split_once(LISTENING) {
            port = address.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        }
        if line.contains(READY) {
            return port.ok_or_else(|| "did not say which port it listens on".to_owned());
        }
    }
}

/// Finds the server program once: what `WASMILL_NATS_SERVER` names, one on the path that is new enough, or the one that
/// `cargo xtask test` installs.
fn program() -> Result<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(find_program).as_deref().map_err(|reason| anyhow!(reason.clone()))
}

fn find_program() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("WASMILL_NATS_SERVER") {
        return Ok(PathBuf::from(named));
    }
    let on_path = PathBuf::from("nats-server");
    if version(&on_path).is_some_and(|version| version >= OLDEST) {
        return Ok(on_path);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let installed = root.join("target").join("tools").join("nats-server");
    if installed.exists() {
        return Ok(installed);
    }
    let (major, minor) = OLDEST;
    Err(format!(
        "no nats-server of at least {major}.{minor} found\n  hint: `cargo xtask test` installs one, or set WASMILL_NATS_SERVER"
    ))
}

/// Major and minor version of a server program, if it is one.
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, version) = text.trim().rsplit_once('v')?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
