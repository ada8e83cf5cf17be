//! Routes and listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use prometheus::{Registry, TextEncoder};
use serde_json::json;

use crate::config::TlsFiles;
use crate::state::Collector;
use crate::{cors, events, schema_registry, tracker};

/// How long open requests may take after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the collector does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate or key cannot be read.
    #[error("cannot read certificate {certificate} or key {key}: {source}")]
    Tls {
        /// Certificate file.
        certificate: String,
        /// Key file.
        key: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The public routes.
pub fn router(collector: Arc<Collector>) -> Router {
    // A little above the collector's own limit, so that its answer, with a reason, is the one that is given.
    let limit = collector.config.max_body_bytes + 1024;
    Router::new()
        .route("/v1/events", post(events::post).options(preflight))
        .route("/healthz", get(|| async { Json(json!({ "status": "alive" })) }))
        .route("/readyz", get(ready))
        .route("/tracker.js", get(tracker::script))
        .merge(schema_registry::routes())
        .layer(DefaultBodyLimit::max(limit))
        .with_state(collector)
}

/// The operator's routes: metrics and health.
pub fn admin_router(registry: Registry) -> Router {
    Router::new()
        .route("/metrics", get(move || metrics(registry.clone())))
        .route("/healthz", get(|| async { Json(json!({ "status": "alive" })) }))
}

async fn metrics(registry: Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn preflight(State(collector): State<Arc<Collector>>, headers: HeaderMap) -> Response {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    cors::preflight(collector.sites.any_allows(origin), &headers, collector.config.preflight_max_age_s)
}

/// Ready means that the log took what it was last given; where it did not, a load balancer should look elsewhere for a while.
async fn ready(State(collector): State<Arc<Collector>>) -> Response {
    let queued_bytes = collector.log.queued_bytes();
    let unready = collector.unready();
    let code = if unready.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let status = unready.as_deref().unwrap_or("ready");
    (code, Json(json!({ "status": status, "queued_bytes": queued_bytes }))).into_response()
}

/// Serves `routes` on `address`, with TLS where files are given, until `handle` is shut down; then open requests are finished.
///
/// # Errors
/// Where the address or the TLS files cannot be used.
pub async fn serve(
    address: SocketAddr,
    tls: Option<&TlsFiles>,
    routes: Router,
    handle: Handle<SocketAddr>,
) -> Result<(), ServeError> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let listening = |source| ServeError::Listen { address, source };
    match tls {
        None => axum_server::bind(address).handle(handle).serve(service).await.map_err(listening),
        Some(files) => {
            // A second provider installed by somebody else in the process serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let config = RustlsConfig::from_pem_file(&files.certificate, &files.key).await.map_err(|source| {
                ServeError::Tls {
                    certificate: files.certificate.display().to_string(),
                    key: files.key.display().to_string(),
                    source,
                }
            })?;
            axum_server::bind_rustls(address, config).handle(handle).serve(service).await.map_err(listening)
        }
    }
}

/// The grace period to give to `Handle::graceful_shutdown`.
pub const fn drain_period() -> Duration {
    DRAIN
}
