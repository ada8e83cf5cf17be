//! The HTTP collector: dumb and durable.
//!
//! It authenticates the write key, bounds sizes and rates, reads each event's envelope, stamps the receive time, appends to
//! `events.collected` and acknowledges only what the log has made durable. It never interprets an event.
//!
//! It is not a validator (that is `ingest`) and holds no state that a restart could lose.

mod answer;
mod append;
mod auth;
mod body;
pub mod config;
mod cors;
mod events;
mod in_flight;
pub mod metrics;
#[cfg(test)]
mod overload_tests;
mod rate;
mod schema_registry;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod tracker;

pub use config::{CollectConfig, SiteKeys, TlsFiles};
pub use metrics::CollectMetrics;
pub use server::{ServeError, admin_router, drain_period, router, serve};
pub use state::{Collector, LEASE, WallClock};
