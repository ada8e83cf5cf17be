//! Streams of server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::Value as Json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::live::Live;
use crate::metrics::ServeMetrics;
use crate::site::VisitorVersion;

/// Between two figures of the stream.
const EVERY: Duration = Duration::from_secs(1);
/// A visitor's picture is not sent more often than this: what changes in between is in the next one.
const AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// A comment keeps proxies from closing a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);

/// What one open connection holds; its place is free again when it goes.
pub(crate) struct Connection {
    pub live: Arc<Live>,
    pub site: String,
    pub metrics: ServeMetrics,
    /// Its place among the connections that may be open.
    pub _permit: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Connection {
    fn message(&self, name: &str, value: &Json) -> Result<Event, Infallible> {
        self.metrics.pushed.inc();
        Ok(Event::default().event(name).retry(RECONNECT).data(value.to_string()))
    }
}

/// A device's picture at once, and again at each change.
pub(crate) fn visitor(connection: Connection, device: String) -> Response {
    struct State {
        connection: Connection,
        device: String,
        known: Option<VisitorVersion>,
        changes: watch::Receiver<u64>,
    }
    let changes = connection.live.listen();
    let state = State { connection, device, known: None, changes };
    let stream = unfold(state, |mut state| async move {
        if state.known.is_some() {
            tokio::time::sleep(AT_MOST_EVERY).await;
        }
        loop {
            state.changes.borrow_and_update();
            let Connection { live, site, .. } = &state.connection;
            if let Some((version, picture)) = live.visitor_since(site, &state.device, state.known) {
                state.known = Some(version);
                return Some((state.connection.message("visitor", &picture), state));
            }
            // Closed: the process stops.
            state.changes.changed().await.ok()?;
        }
    });
    respond(Sse::new(stream))
}

/// The site's figures at once, and again every second.
pub(crate) fn figures(connection: Connection) -> Response {
    let changes = connection.live.listen();
    let stream = unfold((connection, changes, true), |(connection, mut changes, first)| async move {
        if !first {
            let until = tokio::time::Instant::now() + EVERY;
            // Changes are not waited for, only the end of the process.
            while let Ok(changed) = tokio::time::timeout_at(until, changes.changed()).await {
                changed.ok()?;
                tokio::time::sleep_until(until.min(tokio::time::Instant::now() + AT_MOST_EVERY)).await;
            }
        }
        let message = connection.message("stream", &connection.live.figures(&connection.site));
        Some((message, (connection, changes, false)))
    });
    respond(Sse::new(stream))
}

fn respond<S>(sse: Sse<S>) -> Response
where
    S: futures_util::Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    let mut response = sse.keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies that collect answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
