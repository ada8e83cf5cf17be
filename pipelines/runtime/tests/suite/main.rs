//! The runtime on the in-memory log, with the faults of a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod counter;
mod exactly_once;
mod foreign;
mod ledger;
mod outage;
mod outputs;
mod poison;
mod snapshot_files;
mod snapshot_formats;
mod snapshots;
mod standby;
mod warm;
