//! `wasmill run`: the engine.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::exit::Failure;
use super::logging;
use super::settings::{EngineFlags, connect, runner_dirs, runtime};
use super::signals::Signals;
use crate::admin::Admin;
use crate::config::Settings;
use crate::sandbox::this_program;
use crate::supervisor::{Engine, EngineError, EngineSettings};
use crate::telemetry::Telemetry;

/// Run the engine: plugins of the watched folder handle events of the bus
///
/// SIGINT and SIGTERM stop it in good order: it takes no more events, finishes those in flight, and exits with 0.
/// A second signal ends it at once; what was in flight is delivered again.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    flags: EngineFlags,
}

/// How long answers of the HTTP side that are under way when all is done may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// Whatever keeps the engine from starting; exit code 3 if that is the bus.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = args.flags.load()?.settings()?;
    logging::start(&settings.log)?;
    runtime()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        started = Running::start(&settings) => started?,
        _ = signals.next() => {
            tracing::info!("told to stop before it had started");
            return Ok(());
        }
    };
    signals.next().await;
    tracing::info!(grace_s = settings.stop_grace.as_secs(), "stopping: finishing what is in flight");
    signals.or_exit(started.stop(&settings)).await
}

struct Running {
    engine: Arc<Engine>,
    admin: Option<JoinHandle<()>>,
    hang_up: CancellationToken,
}

impl Running {
    /// What can fail without the bus fails before anything is subscribed.
    async fn start(settings: &Settings) -> Result<Self, Failure> {
        let telemetry = Telemetry::new();
        let admin = match settings.admin {
            Some(address) => Some(Admin::bind(&address.to_string()).await?),
            None => None,
        };
        let bus = connect(settings).await?;
        tracing::info!(bus = settings.bus.address(), "connected");
        let engine_settings = engine_settings(settings)?;
        let engine = Engine::start(engine_settings, bus, telemetry.clone()).await.map_err(failed_start)?;
        let engine = Arc::new(engine);
        let hang_up = CancellationToken::new();
        let admin = match admin {
            None => None,
            Some(admin) => {
                tracing::info!("health, metrics and API at http://{}", admin.address()?);
                Some(tokio::spawn(admin.serve(Arc::clone(&engine), telemetry, hang_up.clone())))
            }
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            plugins_dir = %settings.plugins_dir.display(),
            "running"
        );
        Ok(Self { engine, admin, hang_up })
    }

    async fn stop(self, settings: &Settings) -> Result<(), Failure> {
        // The pages answer to the end: a stop that takes long is when somebody looks.
        let finished = self.engine.stop(settings.stop_grace).await;
        self.hang_up.cancel();
        if let Some(admin) = self.admin {
            // A client that keeps its connection open must not keep the engine running.
            drop(tokio::time::timeout(LAST_ANSWERS, admin).await);
        }
        if finished {
            tracing::info!("stopped");
            return Ok(());
        }
        Err(anyhow!(
            "not all events in flight were finished within {} s; they will be delivered again\n  hint: stop.grace_s",
            settings.stop_grace.as_secs()
        )
        .into())
    }
}

fn engine_settings(settings: &Settings) -> Result<EngineSettings, Failure> {
    Ok(EngineSettings {
        plugins_dir: settings.plugins_dir.clone(),
        runner_dirs: runner_dirs(settings.runners_dir.as_ref())?,
        data_dir: settings.data_dir.clone(),
        compiler: this_program().context("find this program's own file, which is also the compiler")?,
        streams: settings.streams.clone(),
        delivery: settings.delivery,
    })
}

fn failed_start(error: EngineError) -> Failure {
    match error {
        EngineError::Bus(error) => Failure::bus(error),
        other => other.into(),
    }
}
