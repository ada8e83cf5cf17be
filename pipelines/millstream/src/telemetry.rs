//! Structured logs to standard error; metrics in one registry.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Starts logging. `MILLSTREAM_LOG` filters (default `warn` for commands that draw progress, `info` for services); `json` gives one
/// object a line.
pub fn start_logging(default_filter: &str, json: bool) {
    let filter = EnvFilter::try_from_env("MILLSTREAM_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
