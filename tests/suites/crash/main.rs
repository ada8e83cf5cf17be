//! SIGKILL in the middle, and a restart: nothing lost, nothing twice.
//!
//! Every test runs the `millstream` binary as a user does, watches how far it has come, kills it (or the broker, or the warehouse)
//! there, starts it again, and compares whole tables with those of a run that nobody disturbed. The points are drawn from seeds.
//! Public data is found through `MILLSTREAM_DATA`, servers through `KAFKA_BROKERS` and `CLICKHOUSE_URL`; what is not there is skipped
//! by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod comparison;
mod embedded;
mod figures;
mod http;
mod kafka;
mod servers;
mod storm;
mod undisturbed;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use millstream_tests::binary::checkout;

/// Each test runs several processes that take all cores: one test at a time.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The arguments of the import of a data set by the mapping of that name.
fn import_of(mapping: &str, file: &Path) -> Vec<String> {
    let mapping = checkout().join("examples/mappings").join(mapping);
    ["import", "--mapping"].map(str::to_owned).into_iter().chain([text(&mapping), text(file)]).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The only `.gz` file of a folder of the public data.
fn data_file(folder: &str, root: &str) -> PathBuf {
    let listed = std::fs::read_dir(Path::new(root).join(folder)).unwrap();
    listed.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|end| end == "gz")).unwrap()
}
