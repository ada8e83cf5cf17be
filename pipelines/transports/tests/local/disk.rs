//! A disk that runs full: a small file system of its own, in memory, mounted by the test where it may.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};
use millstream_transports::{CommitOutcome, Committed, OffsetCommit, Transport, TransportError};

use crate::support::{at, join, record, topic, values};

const SIZE_MB: u64 = 96;
const MIN_FREE_BYTES: u64 = 48 << 20;

/// A file system of [`SIZE_MB`], unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, and a skip by name, where this process may not mount one.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={SIZE_MB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        let line = format!("disk::{test}: a small file system cannot be mounted here");
        eprintln!("SKIPPED {line}");
        if let Some(path) = std::env::var_os("MILLSTREAM_SKIP_LOG") {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            log.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        None
    }

    fn log(&self) -> EmbeddedLog {
        let options = EmbeddedOptions { min_free_bytes: MIN_FREE_BYTES, ..EmbeddedOptions::default() };
        EmbeddedLog::open(self.0.path().join("log"), options).unwrap()
    }

    /// Fills the disk with a file of somebody else until so much is left, or nothing more goes.
    fn fill(&self, left_bytes: u64) {
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        let chunk = vec![7u8; 1 << 20];
        while free_bytes(self.0.path()) > left_bytes {
            if file.write_all(&chunk).is_err() {
                return;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn free_bytes(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Appends one record and says what became of it.
fn append(log: &EmbeddedLog, value: &[u8]) -> Result<(), TransportError> {
    let (told, hear) = mpsc::channel();
    let appender = log.appender(vec!["input".into()])?;
    appender.append(&[record(0, value)], Box::new(move |outcome| told.send(outcome).unwrap()))?;
    hear.recv_timeout(Duration::from_secs(60)).unwrap()
}

#[test]
fn a_full_disk_refuses_loses_nothing_acknowledged_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount("a_full_disk_refuses_loses_nothing_acknowledged_and_recovers_by_itself") else {
        return;
    };
    let log = disk.log();
    topic(&log, "input", 1);
    topic(&log, "output", 1);
    let value = |n: usize| format!("{n:08}{}", "x".repeat(100_000));
    let mut acknowledged = Vec::new();
    let append_until_refused = |log: &EmbeddedLog, acknowledged: &mut Vec<String>| {
        for n in acknowledged.len()..acknowledged.len() + 2_000 {
            match append(log, value(n).as_bytes()) {
                Ok(()) => acknowledged.push(value(n)),
                Err(error) => return error,
            }
        }
        panic!("200 MB went into {SIZE_MB} MB");
    };
    let refused = append_until_refused(&log, &mut acknowledged);
    assert!(matches!(&refused, TransportError::Unavailable(why) if why.contains("nearly full")), "{refused}");
    assert!(acknowledged.len() > 50, "{} fitted", acknowledged.len());

    // What was taken in can still be worked off.
    let mut member = join(&log, "g", "one", &["input"], &["output"]);
    let mut batch = millstream_transports::Batch::new();
    let mut changes = Vec::new();
    while changes.is_empty() {
        member.poll(Duration::from_millis(100), &mut batch, &mut changes).unwrap();
    }
    member.seek(at(0, 0), 0).unwrap();
    let commit = |offset: u64| [OffsetCommit { partition: at(0, 0), offset, metadata: String::new() }];
    member.send(record(0, b"made of it")).unwrap();
    assert_eq!(member.commit(&commit(1)), CommitOutcome::Committed);

    // Somebody else fills the rest: transactions are refused whole, offsets alone go, and nothing breaks.
    disk.fill(4 << 20);
    member.send(record(0, b"too much")).unwrap();
    assert!(matches!(member.commit(&commit(2)), CommitOutcome::Aborted(why) if why.contains("nearly full")));
    assert_eq!(member.commit_offsets(&commit(2)), CommitOutcome::Committed);
    assert!(append(&log, b"no").is_err());

    // There is room again; nobody touches the log.
    disk.make_room();
    member.send(record(0, b"later")).unwrap();
    assert_eq!(member.commit(&commit(3)), CommitOutcome::Committed);
    assert_eq!(values(&log, "output", 0), ["made of it", "later"]);
    assert_eq!(values(&log, "input", 0), acknowledged);
    drop(member);
    drop(log);
    let log = disk.log();
    assert_eq!(values(&log, "input", 0), acknowledged, "after a restart too");
    assert_eq!(log.committed("g", "input", 0).unwrap(), Some(Committed { offset: 3, metadata: String::new() }));
}

#[test]
fn a_directory_emptied_is_another_log() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedLog::open(folder.path().join("log"), EmbeddedOptions::default()).unwrap();
    let id = |log: &EmbeddedLog| {
        topic(log, "input", 1);
        log.topic_id("input").unwrap()
    };
    let first = id(&open());
    assert_eq!(id(&open()), first, "it keeps its identity");
    let log = open();
    log.remake_topic("input").unwrap();
    let remade = log.topic_id("input").unwrap();
    assert_ne!(remade, first);
    drop(log);
    assert_eq!(id(&open()), remade);
    std::fs::remove_dir_all(folder.path().join("log")).unwrap();
    assert_ne!(id(&open()), first);
}
