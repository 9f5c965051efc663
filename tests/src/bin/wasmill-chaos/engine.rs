//! One engine of a run: a place of its own, and the processes that lived there one after the other.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use wasmill_tests::place::{Place, Process};

/// How often somebody looks whether it is dead.
const LOOK: Duration = Duration::from_millis(5);

/// What it logs when it has come up.
const UP: &str = "\"message\":\"running\"";
/// What it logs with each version that it puts into service.
const IN_SERVICE: &str = "\"message\":\"in service\"";
/// What it logs when it has come to own a partition of a plugin's keys, and when it has lost one.
const OWNED: &str = "\"message\":\"owned after";
const TAKEN_OVER: &str = "\"message\":\"another engine has taken it over";

/// An engine that may be killed and started again.
pub struct Engine {
    place: Place,
    plugin: String,
    url: String,
    environment: Vec<(&'static str, String)>,
    process: Option<Process>,
    log: String,
}

impl Engine {
    /// A place with the plugin in it; nothing runs yet. `environment` is set for every process that is started there.
    pub fn new(
        plugin: &str,
        component: &[u8],
        manifest: &str,
        url: String,
        environment: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let place = Place::new()?;
        let engine =
            Self { place, plugin: plugin.into(), url, environment, process: None, log: String::new() };
        engine.put_manifest(manifest)?;
        engine.put_component(component)?;
        Ok(engine)
    }

    pub fn put_component(&self, bytes: &[u8]) -> Result<()> {
        self.place.put_settled(&format!("{}.wasm", self.plugin), bytes)
    }

    pub fn put_manifest(&self, text: &str) -> Result<()> {
        self.place.put_settled(&format!("{}.toml", self.plugin), text.as_bytes())
    }

    /// Starts a process, which comes up in its own time. What ran before is killed.
    pub fn start(&mut self, failpoint: Option<&str>) -> Result<()> {
        self.kill()?;
        let mut command = self.place.command(&self.url)?;
        command.env_remove("FAILPOINT").env_remove("MUTANT");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs(failpoint.map(|failpoint| ("FAILPOINT", failpoint)));
        self.process = Some(Process::launch(&mut command)?);
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// SIGKILL, at once. Says whether that is what ended it.
    pub fn kill(&mut self) -> Result<bool> {
        let Some(process) = &mut self.process else { return Ok(false) };
        if process.ended()?.is_none() {
            process.signal("KILL")?;
        }
        let status = self.wait(Duration::from_secs(10))?.context("SIGKILL does not end it")?;
        Ok(was_killed(status))
    }

    pub fn signal(&self, name: &str) -> Result<()> {
        self.process.as_ref().context("no engine runs")?.signal(name)
    }

    /// Whether the system shows it as stopped by SIGSTOP.
    pub fn is_frozen(&self) -> Result<bool> {
        let pid = self.process.as_ref().context("no engine runs")?.pid();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name before it stands in parentheses and may hold anything.
        Ok(stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
    }

    /// Waits for the end of its process; none if it does not end in time.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        while let Some(process) = &mut self.process {
            if let Some(status) = process.ended()? {
                self.log.push_str(&process.log());
                self.log.push_str(&format!("\n── ended: {status}\n"));
                self.process = None;
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }

    /// Waits until its process has put so many versions of its plugin into service.
    pub fn wait_until_in_service(&mut self, versions: usize, patience: Duration) -> Result<()> {
        self.wait_for_lines(versions, IN_SERVICE, patience)
    }

    /// Waits until its process has logged a line so often, has ended, or has had its time.
    fn wait_for_lines(&mut self, count: usize, line: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while let Some(process) = &mut self.process {
            if process.log().matches(line).count() >= count
                || process.ended()?.is_some()
                || Instant::now() > deadline
            {
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// SIGTERM as soon as it hears it, and how it ended; none if it did not.
    pub fn terminate(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        self.wait_for_lines(1, UP, patience)?;
        if let Some(before) = self.wait(Duration::ZERO)? {
            return Ok(Some(before));
        }
        self.signal("TERM")?;
        self.wait(patience)
    }

    /// Stops it, if it runs, and says what was wrong with that.
    pub fn stop(&mut self, patience: Duration) -> Result<Option<String>> {
        if !self.is_running() {
            return Ok(None);
        }
        Ok(match self.terminate(patience)? {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("an engine that was to stop ended with {status}")),
            None => {
                self.kill()?;
                Some(format!("an engine that was to stop did not end within {patience:?}"))
            }
        })
    }

    /// Whether its process has said that it owns its plugin's keys, and not since that another engine does.
    pub fn says_it_owns(&self) -> bool {
        let log = self.process.as_ref().map(Process::log).unwrap_or_default();
        log.rfind(OWNED) > log.rfind(TAKEN_OVER)
    }

    /// What all its processes have logged.
    pub fn log(&self) -> String {
        let present = self.process.as_ref().map(Process::log).unwrap_or_default();
        format!("{}{present}", self.log)
    }
}

/// Whether a process was ended by SIGKILL.
pub fn was_killed(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    status.signal() == Some(SIGKILL)
}
