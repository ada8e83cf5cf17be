//! The stage against its promises.

mod convergence;
mod data;
mod history;
mod promotions;
mod records;
mod snapshot_fixtures;
mod snapshots;
mod world;
