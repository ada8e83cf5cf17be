//! Small files become large ones, and no row is lost or doubled, wherever it stops.

use std::fs;
use std::time::Duration;

use millstream_deliver::{DeliverError, Sink};
use millstream_warehouse::ParquetSink;
use millstream_warehouse::compact::{CompactLimits, compact};

use crate::Folder;
use crate::support::Engine;
use crate::support::records::{order, session};
use crate::support::world::World;

fn limits(keep_parts: Duration) -> CompactLimits {
    CompactLimits { min_files: 3, keep_parts, keep_unfinished: Duration::ZERO, ..CompactLimits::default() }
}

/// A sink that leaves its files as they are.
fn still(folder: &Folder) -> ParquetSink {
    ParquetSink::with_limits(folder.0.path(), CompactLimits { min_files: usize::MAX, ..CompactLimits::default() })
}

/// Eight batches of one partition, one of the other.
fn filled() -> Folder {
    let (world, folder) = (World::new(), Folder::new());
    for n in 0..8i64 {
        let name = (n % 3).to_string();
        world.append(&[("sessions", 0, session(&name, n + 1, n, false)), ("orders", 1, order(&name, n + 1, n, 0))]);
        world.deliver(still(&folder));
    }
    world.append(&[("sessions", 1, session("x", 1, 100, false))]);
    world.deliver(still(&folder));
    folder
}

const QUESTION: &str = "SELECT session_id, page_views, revision FROM sessions_current ORDER BY session_id";

#[test]
fn merging_changes_no_answer() {
    let folder = filled();
    let before = folder.rows(QUESTION);
    assert_eq!((before.len(), folder.files("sessions").len()), (4, 9));
    compact(folder.0.path(), &limits(Duration::from_secs(3_600))).unwrap();
    // The parts are still there, and left out.
    assert_eq!(folder.files("sessions").len(), 10);
    assert_eq!((folder.rows(QUESTION), folder.number("SELECT count(*) FROM sessions")), (before.clone(), 9));
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    assert_eq!(folder.files("sessions").len(), 2);
    assert_eq!((folder.rows(QUESTION), folder.number("SELECT count(*) FROM sessions")), (before, 9));
    assert_eq!(folder.number("SELECT count(*) FROM orders"), 8);
}

#[test]
fn a_merged_file_delivers_nothing_of_a_topic_made_anew() {
    let (world, folder) = (World::new(), Folder::new());
    let append = |from: i64, count: i64| {
        let put = |n: i64| ("sessions", 0, session(&n.to_string(), n + 1, 1, false));
        world.append(&(from..from + count).map(put).collect::<Vec<_>>());
    };
    for n in 0..8 {
        append(n, 1);
        world.deliver(still(&folder));
    }
    // One file, wider than any batch of the new topic will be: its range alone would say that all of that is there.
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    assert_eq!(folder.files("sessions").len(), 1);
    world.log.remake_topic("sessions").unwrap();
    append(100, 3);
    let mut deliverer = world.deliverer(still(&folder), world.config());
    let error = world.deliver_all(&mut deliverer).unwrap_err();
    assert!(matches!(&error, DeliverError::Conflict { why, .. } if why.contains("was made anew")), "{error}");
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 8);
}

#[test]
fn a_crash_while_merging_leaves_every_row_once() {
    let folder = filled();
    let table = folder.0.path().join("sessions");
    // A crash while the merged file was written.
    fs::write(table.join(".writing-1-0-0-99.parquet"), b"half a file").unwrap();
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 9);
    // A crash after some parts were removed: whichever are left, the merged file stands for all.
    let kept = folder.0.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let parts: Vec<String> = folder.files("sessions").into_iter().filter(|name| name.starts_with("0-")).collect();
    for part in &parts {
        fs::copy(table.join(part), kept.join(part)).unwrap();
    }
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    for part in parts.iter().step_by(2) {
        fs::copy(kept.join(part), table.join(part)).unwrap();
    }
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 9);
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    assert_eq!(folder.files("sessions").len(), 2);
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 9);
}

#[test]
fn a_batch_that_was_merged_is_known() {
    let (world, folder) = (World::new(), Folder::new());
    for n in 0..4i64 {
        world.append(&[("sessions", 0, session("a", n + 1, n, false))]);
        world.deliver(folder.sink());
    }
    compact(folder.0.path(), &limits(Duration::ZERO)).unwrap();
    assert_eq!(folder.files("sessions").len(), 1);
    // A group that begins anew delivers the same records again, one by one: all of them are inside the merged file.
    let mut config = world.config();
    config.group = "deliver-again".into();
    config.limits.max_rows = 1;
    let mut deliverer = world.deliverer(folder.sink(), config);
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 4);
}

#[test]
fn an_idle_sink_merges_by_itself() {
    let folder = filled();
    let sink = ParquetSink::with_limits(folder.0.path(), limits(Duration::ZERO));
    for _ in 0..20 {
        sink.idle().unwrap();
    }
    assert_eq!((folder.files("sessions").len(), folder.files("orders").len()), (2, 1));
}
