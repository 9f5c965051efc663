//! Looking through the plugin directory, and doing what the plan says.

use std::time::Duration;

use tokio::time::Instant;

use super::reload::Reload;
use crate::limits::SETTLE_MS;
use crate::manifest::PluginName;
use crate::plan::{Known, Missing, Step, plan};
use crate::plugin_dir::{PluginDir, Scan};
use crate::status::PluginState;

impl Reload {
    /// Looks again when what is being written has had time to settle.
    pub(super) fn soon(&mut self) {
        self.look_again.get_or_insert_with(|| Instant::now() + Duration::from_millis(SETTLE_MS + 20));
    }

    pub(super) async fn look(&mut self, mut dir: PluginDir) -> PluginDir {
        self.look_again = None;
        let path = dir.path().to_owned();
        let scanned = tokio::task::spawn_blocking(move || (dir.scan(), dir)).await;
        let (scan, dir) = match scanned {
            Ok((Ok(scan), dir)) => (scan, dir),
            Ok((Err(err), dir)) => {
                self.tell_faults(vec![err.to_string()]);
                return dir;
            }
            Err(err) => {
                tracing::error!("looking through the plugin directory panicked: {err}");
                return PluginDir::new(path);
            }
        };
        self.apply(scan, &dir);
        dir
    }

    fn apply(&mut self, scan: Scan, dir: &PluginDir) {
        if scan.unsettled {
            self.soon();
        }
        let known = self.plugins.iter().map(|(name, plugin)| {
            (name.clone(), Known { tried: plugin.tried, running: plugin.service.is_some() })
        });
        for step in plan(&known.collect(), &scan.plugins) {
            match step {
                Step::Load(name, files) => self.load_found(name, files, dir),
                Step::Remove(name) => self.remove(&name),
                Step::Incomplete(name, missing) => self.incomplete(&name, missing),
            }
        }
        for (name, problem) in &scan.unreadable {
            self.around.views.problem(name, PluginState::Refused, problem.clone());
        }
        self.tell_faults(scan.faults.into_iter().chain(scan.unreadable.into_values()).collect());
        if !scan.unsettled {
            // Tells those who wait for the first look that it is over, even if it found nothing.
            self.around.views.looked();
        }
    }

    pub(super) fn tell_faults(&mut self, faults: Vec<String>) {
        for fault in faults.iter().filter(|fault| !self.told.contains(fault)) {
            tracing::error!("plugin directory: {fault}");
        }
        self.told = faults;
    }

    fn incomplete(&mut self, name: &PluginName, missing: Missing) {
        let (have, lack) = match missing {
            Missing::Manifest(artifact) => (artifact.extension(), "toml"),
            Missing::Component => ("toml", "wasm"),
        };
        let problem = format!("{name}.{have} is there, {name}.{lack} is not");
        let plugin = self.plugin(name);
        if missing == Missing::Component {
            plugin.tried = None;
        }
        self.problem(name, PluginState::Incomplete, problem);
    }
}
