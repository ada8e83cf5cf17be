//! `GET /v1/live` and `GET /v1/live/stream`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::auth::Tokens;
use crate::config::SiteTokens;
use crate::live::Live;
use crate::metrics::ServeMetrics;
use crate::pushed::{self, Connection};

/// As long as a device id may be in an event, bytes.
const MAX_DEVICE_BYTES: usize = 128;

struct Shared {
    live: Arc<Live>,
    tokens: Tokens,
    connections: Arc<Semaphore>,
    metrics: ServeMetrics,
}

/// The routes of live reads, for the sites and tokens given.
pub fn router(live: Arc<Live>, sites: Vec<SiteTokens>, metrics: ServeMetrics) -> Router {
    let connections = Arc::new(Semaphore::new(live.config.max_connections));
    let shared = Arc::new(Shared { live, tokens: Tokens::new(sites), connections, metrics });
    Router::new().route("/v1/live", get(visitor)).route("/v1/live/stream", get(figures)).with_state(shared)
}

#[derive(Deserialize)]
struct Asked {
    device: Option<String>,
    token: Option<String>,
}

/// A refused read: what is wrong and what to do.
struct Refused(StatusCode, &'static str, &'static str);

impl Shared {
    fn connect(&self, headers: &HeaderMap, asked: &Asked) -> Result<Connection, Refused> {
        let site = self.tokens.authenticate(headers, asked.token.as_deref()).ok_or(Refused(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "give a read token: Authorization: Bearer <token>, or ?token=",
        ))?;
        let permit = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| {
            Refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "as many connections are open as may be; try again later",
            )
        })?;
        self.metrics.connections.inc();
        let site = site.to_owned();
        Ok(Connection { live: Arc::clone(&self.live), site, metrics: self.metrics.clone(), _permit: permit })
    }

    fn refuse(&self, Refused(status, reason, detail): Refused) -> Response {
        self.metrics.refused.with_label_values(&[reason]).inc();
        let mut response = (status, Json(json!({ "reason": reason, "detail": detail }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        response
    }
}

async fn visitor(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(mut asked)) = asked else {
        return shared.refuse(Refused(StatusCode::BAD_REQUEST, "wrong_type", "the query cannot be read: ?device=…"));
    };
    let device = asked.device.take().unwrap_or_default();
    match shared.connect(&headers, &asked) {
        Err(refused) => shared.refuse(refused),
        Ok(_) if device.is_empty() || device.len() > MAX_DEVICE_BYTES => shared.refuse(Refused(
            StatusCode::BAD_REQUEST,
            "missing_field",
            "name a device of 1 to 128 bytes: ?device=…",
        )),
        Ok(connection) => pushed::visitor(connection, device),
    }
}

async fn figures(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map_or(Asked { device: None, token: None }, |Query(asked)| asked);
    match shared.connect(&headers, &asked) {
        Err(refused) => shared.refuse(refused),
        Ok(connection) => pushed::figures(connection),
    }
}
