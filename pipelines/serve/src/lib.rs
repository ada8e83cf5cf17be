//! Live reads: what is known of a visitor now, and how the stream is doing.
//!
//! A plain consumer of committed output topics. It keeps the newest revision of what it has seen in bounded memory and pushes
//! changes to those who listen, as server-sent events:
//!
//! - `GET /v1/live?device=…`: session, score with its reasons and profile of one device, at each change;
//! - `GET /v1/live/stream`: events per second, latency, open sessions, conversions and credits by model, once a second.
//!
//! Nothing depends on it and nothing is kept: after a restart the views are read again from what the log retains. It is not an
//! archive (that is the warehouse) and answers nothing about a site without a read token for that site.
//!
//! [`shop`] is the page of the demo, which shows both.

mod auth;
pub mod config;
mod consumer;
mod latest;
mod live;
mod metrics;
mod pushed;
mod routes;
mod row;
pub mod shop;
mod site;
mod stream;
#[cfg(test)]
mod tests;

pub use config::{ServeConfig, SiteTokens};
pub use consumer::{ConsumeError, Consumer, ConsumerConfig};
pub use live::Live;
pub use metrics::ServeMetrics;
pub use routes::router;
