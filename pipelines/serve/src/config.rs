//! What live reads are told.

use std::net::SocketAddr;

use serde::Deserialize;

/// Settings of live reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Where `millstream run` listens for live reads; absent: nowhere. Keep it inside your network.
    pub listen: Option<SocketAddr>,
    /// Open connections in all; one more is answered with 503.
    pub max_connections: usize,
    /// Rows of each view and site (sessions, scores, profiles, orders; eight times as many credits). The least recently changed are
    /// forgotten first.
    pub max_rows: usize,
    /// Longest record that a view keeps, bytes; longer ones are counted and left out.
    pub max_row_bytes: usize,
    /// Consent purposes that a row must carry to be told of a visitor. Figures of the stream are not about anybody.
    pub purposes: Vec<String>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: None,
            max_connections: 256,
            max_rows: 50_000,
            max_row_bytes: 16 << 10,
            purposes: vec!["personalization".to_owned()],
        }
    }
}

/// A site and who may read of it.
#[derive(Clone)]
pub struct SiteTokens {
    /// The site's name, as it stands in every key and row.
    pub name: String,
    /// Tokens that read this site. Several, so that they can be rotated; none: it is not read.
    pub read_tokens: Vec<String>,
}

impl std::fmt::Debug for SiteTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteTokens")
            .field("name", &self.name)
            .field("read_tokens", &self.read_tokens.len())
            .finish_non_exhaustive()
    }
}
