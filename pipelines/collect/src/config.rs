//! What the collector is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// A site's credentials and limits.
#[derive(Clone)]
pub struct SiteKeys {
    /// The site's name, as it stands in every key and row.
    pub name: String,
    /// Write keys that name this site. Several, so that keys can be rotated.
    pub write_keys: Vec<String>,
    /// Browser origins that may send events; `*` for any.
    pub allowed_origins: Vec<String>,
    /// Sustained events per second; a burst of two seconds is allowed on top.
    pub max_events_per_second: u32,
    /// Whether the client's address is kept (PII). Off by default.
    pub keep_ip: bool,
}

impl std::fmt::Debug for SiteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteKeys")
            .field("name", &self.name)
            .field("write_keys", &self.write_keys.len())
            .finish_non_exhaustive()
    }
}

/// Files of a TLS listener, PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// The collector's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where metrics and health are served; keep it inside your network.
    pub admin_listen: SocketAddr,
    /// HTTPS where given.
    pub tls: Option<TlsFiles>,
    /// Largest request body, before and after decompression, bytes.
    pub max_body_bytes: usize,
    /// Largest single event, bytes.
    pub max_event_bytes: usize,
    /// Most events in one request.
    pub max_batch_events: usize,
    /// Bytes that all requests being worked on may take together; above it requests are answered with 429 before they are read.
    pub max_in_flight_bytes: usize,
    /// How long reading one request's body may take, milliseconds.
    pub body_timeout_ms: u64,
    /// How long a request waits for the log before it is refused, milliseconds.
    pub append_timeout_ms: u64,
    /// How long browsers may cache a preflight answer, seconds.
    pub preflight_max_age_s: u32,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            tls: None,
            max_body_bytes: 1 << 20,
            max_event_bytes: 64 << 10,
            max_batch_events: 500,
            max_in_flight_bytes: 64 << 20,
            body_timeout_ms: 20_000,
            append_timeout_ms: 10_000,
            preflight_max_age_s: 7_200,
        }
    }
}
