//! `wasmill demo`: the whole engine on a bus inside this process, with made-up payments and orders.
//!
//! In reading order: this file runs it, `generate` makes the events, `tap` counts what goes by, `screen` shows it, `verdict`
//! says whether it adds up.

mod generate;
mod screen;
mod tap;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use self::generate::Generator;
use self::screen::Screen;
use self::tap::Tap;
use self::verdict::Rule;
use super::exit::{Exit, Failure};
use super::out::{self, grouped};
use super::settings::{runner_dirs, runtime};
use super::signals::Signals;
use crate::bus::{Bus, Retention, StreamSpec};
use crate::sandbox::this_program;
use crate::status::{PluginState, PluginStatus};
use crate::subject::Pattern;
use crate::supervisor::{DeliverySettings, Engine, EngineSettings};
use crate::telemetry::Telemetry;

/// How often the demo looks at the engine and makes its next events.
const TICK: Duration = Duration::from_millis(20);
/// How far events may run ahead of the slowest plugin.
const MAX_BEHIND: u64 = 2_000;
/// How long nothing may move before the demo gives up.
const STALLED: Duration = Duration::from_secs(30);
/// How long the plugins may take to compile and start.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How long the last events may take once all plugins have been told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Show the engine at work on made-up events; needs no server
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// End with a summary after this many events; exit code 1 if the counts do not add up
    #[arg(long, value_name = "COUNT")]
    events: Option<u64>,
    /// Events a second
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    rate: u32,
    /// The folder that holds `plugins`
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If there are no plugins, they do not start, or the counts do not add up.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    if args.rate == 0 {
        return Err(Failure::usage("--rate must be more than 0"));
    }
    let plugins = args.dir.join("plugins");
    let components = count_components(&plugins);
    if components == 0 {
        return Err(anyhow!(
            "{} holds no plugins\n  hint: in a checkout, `cargo xtask demo` builds them and runs the demo",
            plugins.display()
        )
        .into());
    }
    runtime()?.block_on(Demo::play(args, &plugins, components))
}

fn count_components(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter(|entry| entry.path().extension().is_some_and(|kind| kind == "wasm")).count()
}

/// The streams of the demo. Deliberately small: it may run for hours.
fn streams() -> Result<Vec<StreamSpec>, crate::subject::SubjectError> {
    [("PAYMENTS", "payments.>"), ("ORDERS", "orders.>"), ("ALERTS", "alerts.>"), ("AUDIT", "audit.>")]
        .into_iter()
        .map(|(name, subjects)| {
            Ok(StreamSpec {
                name: name.into(),
                subjects: vec![Pattern::new(subjects)?],
                retention: Retention::Limits,
                duplicate_window: Duration::from_secs(120),
                max_bytes: Some(64 * 1_024 * 1_024),
                max_age: None,
                replicas: 1,
                atomic: false,
            })
        })
        .collect()
}

struct Demo {
    engine: Engine,
    tap: Arc<Tap>,
    generator: Generator,
    generated: u64,
    rule: Option<Rule>,
    screen: Screen,
}

impl Demo {
    async fn play(args: &DemoArgs, plugins: &Path, components: usize) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        let tap = Tap::new();
        let settings = EngineSettings {
            plugins_dir: plugins.to_owned(),
            runner_dirs: runner_dirs(None)?,
            data_dir: args.dir.join("data"),
            compiler: this_program().context("find this program's own file, which is also the compiler")?,
            streams: streams()?,
            delivery: DeliverySettings::default(),
        };
        let engine = Engine::start(settings, Arc::clone(&tap) as Arc<dyn Bus>, Telemetry::new()).await?;
        out::say("compiling and starting the plugins…");
        let rule = Rule::read(plugins);
        let mut demo = Self {
            engine,
            tap,
            generator: Generator::new(rule.as_ref().map(|rule| rule.threshold))?,
            generated: 0,
            rule,
            screen: Screen::new(hint(plugins)),
        };
        tokio::select! {
            ready = demo.wait_until_ready(components) => ready?,
            _ = signals.next() => return Ok(()),
        }
        out::say(hint(plugins));
        let interrupted = tokio::select! {
            done = demo.generate(args) => { done?; false }
            _ = signals.next() => true,
        };
        signals.or_exit(demo.finish(plugins, interrupted)).await
    }

    async fn wait_until_ready(&self, components: usize) -> Result<(), Failure> {
        let mut changes = self.engine.changes();
        let ready = async {
            // The directory may not have been read yet, or not to its end.
            while self.engine.status().len() < components || !self.engine.unready().is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(START_TIMEOUT, ready).await.is_ok();
        let reasons: Vec<String> = self.engine.status().iter().filter_map(why_not_running).collect();
        if in_time && reasons.is_empty() {
            return Ok(());
        }
        Err(anyhow!("the plugins do not all run\n{}", reasons.join("\n")).into())
    }

    /// Makes events at the given rate, but never far ahead of the plugins.
    async fn generate(&mut self, args: &DemoArgs) -> Result<(), Failure> {
        let wanted = args.events.unwrap_or(u64::MAX);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut allowed = 0.0;
        let mut last = Instant::now();
        while self.generated < wanted {
            ticks.tick().await;
            let plugins = self.engine.status();
            let seen = self.tap.seen();
            let behind = plugins
                .iter()
                .map(|plugin| verdict::progress(plugin, &seen))
                .map(|(ended, due)| due.saturating_sub(ended));
            let room = MAX_BEHIND.saturating_sub(behind.max().unwrap_or(0));
            // What a busy machine could not make in time is not made up for in one burst.
            allowed =
                (allowed + last.elapsed().as_secs_f64() * f64::from(args.rate)).min(f64::from(args.rate));
            last = Instant::now();
            let batch = (allowed as u64).min(room).min(wanted - self.generated);
            for _ in 0..batch {
                let message = self.generator.next();
                self.tap.publish(message).await.map_err(Failure::bus)?;
                self.generated += 1;
            }
            allowed -= batch as f64;
            self.screen.show(&plugins, &seen, self.generated, false)?;
        }
        Ok(())
    }

    /// Waits for the last events, stops the engine and tells how it went.
    async fn finish(mut self, plugins_dir: &Path, interrupted: bool) -> Result<(), Failure> {
        let mut moved = (0, Instant::now());
        let (plugins, seen) = loop {
            let (plugins, seen) = (self.engine.status(), self.tap.seen());
            self.screen.show(&plugins, &seen, self.generated, false)?;
            let ended = plugins.iter().map(|plugin| verdict::progress(plugin, &seen).0).sum::<u64>();
            if ended != moved.0 {
                moved = (ended, Instant::now());
            }
            if verdict::is_settled(&plugins, &seen) || moved.1.elapsed() > STALLED {
                break (plugins, seen);
            }
            tokio::time::sleep(TICK).await;
        };
        self.screen.show(&plugins, &seen, self.generated, true)?;
        let stopped = self.engine.stop(GRACE).await;
        let edited = Rule::read(plugins_dir) != self.rule;
        let rule = self.rule.filter(|_| !edited);
        let mut faults = verdict::faults(&plugins, &seen, rule.as_ref(), self.generator.over_threshold);
        if !stopped {
            faults.push("the engine did not stop in time".into());
        }
        out::data(summary(&plugins, &seen, self.generated, rule.as_ref(), self.generator.over_threshold))?;
        if faults.is_empty() {
            return Ok(());
        }
        let reasons = faults.join("\n");
        if interrupted {
            // Whoever broke it off may have played with the plugins: what follows from that is no failure.
            out::say(reasons);
            return Ok(());
        }
        Err(Failure::new(Exit::Refused, anyhow!("the counts do not add up\n{reasons}")))
    }
}

fn why_not_running(plugin: &PluginStatus) -> Option<String> {
    let PluginStatus { name, state, problem, .. } = plugin;
    let runs = matches!(state, PluginState::Running | PluginState::Disabled);
    (!runs).then(|| {
        format!("{name} is {}: {}", state.as_str(), problem.as_deref().unwrap_or("no reason is known yet"))
    })
}

fn hint(plugins: &Path) -> String {
    format!(
        "try it: change `threshold` in {} and save; the rule is swapped while events flow. Ctrl-C ends the demo.",
        plugins.join("large-amount.toml").display()
    )
}

fn summary(
    plugins: &[PluginStatus],
    seen: &tap::Seen,
    generated: u64,
    rule: Option<&Rule>,
    over: u64,
) -> String {
    let mut text = format!("\n{} events went in:\n{}", grouped(generated), screen::table(plugins, seen));
    text.push_str("\n\nlast outputs");
    text.push_str(&screen::samples(seen));
    match rule {
        Some(rule) => text.push_str(&format!(
            "\n\n{} payments over {}, {} alerts",
            grouped(over),
            rule.threshold,
            grouped(rule.alerts(seen))
        )),
        None => text.push_str("\n\nthe rule was changed on the way, or is none whose alerts can be foretold: they are not compared"),
    }
    text
}
