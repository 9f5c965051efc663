//! The HTTP side: is it alive, is it ready, what runs, how much. It listens on loopback unless told otherwise, and has no
//! login of its own.
//!
//! | path | answer |
//! |---|---|
//! | `GET /livez` | 200 while the process answers |
//! | `GET /readyz` | 200, or 503 with one reason a line; beside that, which plugins are quarantined and why |
//! | `GET /metrics` | metrics in the Prometheus text format |
//! | `GET /api/plugins` | [`PluginList`] as JSON |
//! | `GET /api/plugins/{name}` | [`crate::status::PluginStatus`] as JSON |
//! | `POST /api/plugins/{name}/rollback` | the same, after the rollback |
//!
//! Errors are JSON: `{"error": "…"}`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::manifest::PluginName;
use crate::status::PluginList;
use crate::supervisor::{Engine, RollbackError};
use crate::telemetry::Telemetry;

/// What the pages show.
#[derive(Clone)]
struct Shown {
    engine: Arc<Engine>,
    telemetry: Telemetry,
}

/// A listener that is bound but does not answer yet, so that a taken port is found out before anything starts.
pub struct Admin(TcpListener);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("admin.listen: {address} cannot be listened on: {source}\n  hint: choose another port, or \"off\"")]
pub struct ListenError {
    address: String,
    source: std::io::Error,
}

impl Admin {
    /// Takes the address. Port 0 lets the system choose.
    ///
    /// # Errors
    /// If it is taken or not this machine's.
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        let bound = TcpListener::bind(address).await;
        bound.map(Self).map_err(|source| ListenError { address: address.to_owned(), source })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until told to stop.
    pub async fn serve(self, engine: Arc<Engine>, telemetry: Telemetry, stop: CancellationToken) {
        let pages = Router::new()
            .route("/livez", get(async || "alive\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/api/plugins", get(plugins))
            .route("/api/plugins/{name}", get(plugin))
            .route("/api/plugins/{name}/rollback", post(roll_back))
            .with_state(Shown { engine, telemetry });
        let served = axum::serve(self.0, pages).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(err) = served {
            tracing::error!("the HTTP side ended: {err}");
        }
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let reasons = shown.engine.unready();
    let (status, mut lines) = if reasons.is_empty() {
        (StatusCode::OK, vec!["ready".to_owned()])
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons)
    };
    lines.extend(shown.engine.quarantined());
    (status, format!("{}\n", lines.join("\n"))).into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, KIND)], shown.telemetry.exposition()).into_response()
}

async fn plugins(State(shown): State<Shown>) -> Json<PluginList> {
    Json(PluginList { plugins: shown.engine.status() })
}

async fn plugin(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    let found = PluginName::new(name.clone()).ok().and_then(|name| shown.engine.plugin(&name));
    match found {
        Some(status) => Json(status).into_response(),
        None => refuse(&RollbackError::Unknown(name)),
    }
}

async fn roll_back(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    let Ok(plugin) = PluginName::new(name.clone()) else { return refuse(&RollbackError::Unknown(name)) };
    match shown.engine.roll_back(&plugin).await {
        Ok(status) => Json(status).into_response(),
        Err(err) => refuse(&err),
    }
}

fn refuse(err: &RollbackError) -> Response {
    let status = match err {
        RollbackError::Unknown(_) => StatusCode::NOT_FOUND,
        RollbackError::NothingKept(_) | RollbackError::Refused { .. } => StatusCode::CONFLICT,
        RollbackError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(serde_json::json!({ "error": err.to_string() }))).into_response()
}
