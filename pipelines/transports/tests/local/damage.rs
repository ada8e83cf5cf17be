//! Damaged files: a torn tail that nobody was told of is cut, everything else is an error that names it. Never does the log open
//! and read as if nothing had been lost.

use std::fs;
use std::path::{Path, PathBuf};

use millstream_transports::embedded::EmbeddedSync;
use millstream_transports::{Committed, LocalOptions, Transport, TransportError};

use crate::support::{append, open, read_from, record, topic};

const PARTITIONS: u32 = 2;

/// Records of each partition, and the committed offset of each.
type Content = Vec<(Vec<(u64, Vec<u8>)>, Option<Committed>)>;

/// Everything in the log at `directory`, or the error that opening or reading gave.
fn content(directory: &Path) -> Result<Content, TransportError> {
    let log = open(directory, EmbeddedSync::Never, LocalOptions::default())?;
    let of = |partition| Ok((read_from(&log, "t", partition, 0)?, log.committed("g", "t", partition)?));
    (0..PARTITIONS).map(of).collect()
}

fn fill(directory: &Path, records: usize, size: usize) {
    let log = open(directory, EmbeddedSync::Never, LocalOptions::default()).unwrap();
    topic(&log, "t", PARTITIONS);
    let mut random = 7u64;
    for n in 0..records {
        let mut value = n.to_be_bytes().to_vec();
        value.resize_with(size, || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        });
        append(&log, "t", &[record(n as u32 % PARTITIONS, &value)]);
        let committed = Committed { offset: n as u64 / 2, metadata: format!("note {n}") };
        log.commit_foreign("g", "t", n as u32 % PARTITIONS, committed).unwrap();
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    // The store wants this directory, also when it is empty.
    fs::create_dir_all(to.join("db/keyspaces")).unwrap();
}

fn flip(file: &Path, position: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[position] ^= 0x55;
    fs::write(file, bytes).unwrap();
}

/// Flips one byte at each position of a copy; what comes out must be an error of damage or exactly what was there.
fn flip_each(original: &Path, file: &Path, positions: impl Iterator<Item = usize>) -> (usize, usize) {
    let whole = content_of_copy(original, |_| ()).unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    for position in positions {
        let relative = file.strip_prefix(original).unwrap();
        match content_of_copy(original, |copy| flip(&copy.join(relative), position)) {
            Ok(found) => {
                assert!(
                    found == whole,
                    "{}: byte {position} flipped, and records are silently lost",
                    relative.display()
                );
                harmless += 1;
            }
            Err(TransportError::Damaged(why)) => {
                assert!(!why.is_empty());
                noticed += 1;
            }
            Err(other) => panic!("{}: byte {position} flipped gave {other:?}, which is not damage", relative.display()),
        }
    }
    (noticed, harmless)
}

fn content_of_copy(original: &Path, change: impl FnOnce(&Path)) -> Result<Content, TransportError> {
    let directory = tempfile::tempdir().unwrap();
    copy(original, directory.path());
    change(directory.path());
    content(directory.path())
}

fn journal(directory: &Path) -> PathBuf {
    let mut journals =
        files_below(&directory.join("db")).into_iter().filter(|f| f.extension().is_some_and(|e| e == "jnl"));
    journals.next_back().unwrap()
}

/// A log whose journal has been cut to what it holds, as the first reopening does.
fn small_log(records: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), records, 100);
    assert_eq!(content(directory.path()).unwrap().iter().map(|(records, _)| records.len()).sum::<usize>(), records);
    directory
}

#[test]
fn a_flipped_byte_in_the_journal_is_damage() {
    let directory = small_log(20);
    let journal = journal(directory.path());
    let length = fs::metadata(&journal).unwrap().len() as usize;
    assert!((2_000..100_000).contains(&length), "the journal has {length} bytes");
    let (noticed, harmless) = flip_each(directory.path(), &journal, (0..length).step_by(23));
    // Some bytes are redundant (a length written twice, the store's own order numbers).
    assert!(noticed > 100 && harmless < noticed / 10, "{noticed} flips were noticed, {harmless} changed nothing");
}

#[test]
fn a_journal_that_ends_before_what_was_acknowledged_is_damage() {
    let directory = small_log(20);
    let journal = journal(directory.path());
    let length = fs::metadata(&journal).unwrap().len();
    for cut in [1, 50, 300, length / 2, length] {
        let relative = journal.strip_prefix(directory.path()).unwrap();
        let answer = content_of_copy(directory.path(), |copy| {
            let file = fs::OpenOptions::new().write(true).open(copy.join(relative)).unwrap();
            file.set_len(length - cut).unwrap();
        });
        assert!(matches!(answer, Err(TransportError::Damaged(_))), "{cut} bytes cut off gave {answer:?}");
    }
}

/// The last write is torn, and the witness says that it was never acknowledged.
#[test]
fn a_torn_tail_that_nobody_was_told_of_is_cut() {
    let directory = small_log(20);
    let whole = content(directory.path()).unwrap();
    let witness = fs::read(directory.path().join("witness")).unwrap();
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    let before = fs::metadata(journal(directory.path())).unwrap().len();
    append(&log, "t", &[record(0, &[1; 500]), record(1, &[2; 500])]);
    drop(log);
    let journal = journal(directory.path());
    let length = fs::metadata(&journal).unwrap().len();
    assert!(length > before + 1_000);
    for end in [before + 1, before + 20, (before + length) / 2, length - 1] {
        let found = content_of_copy(directory.path(), |copy| {
            fs::write(copy.join("witness"), &witness).unwrap();
            let file = copy.join(journal.strip_prefix(directory.path()).unwrap());
            fs::OpenOptions::new().write(true).open(file).unwrap().set_len(end).unwrap();
        });
        assert!(found.unwrap() == whole, "cut at {end}: half a write is there, or more is gone than it");
    }
}

#[test]
fn a_flipped_byte_in_flushed_data_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    // More than the store keeps in memory, so that most of it lies in its tables.
    fill(directory.path(), 600, 64 << 10);
    let tables: Vec<PathBuf> = files_below(&directory.path().join("db/keyspaces"))
        .into_iter()
        .filter(|file| fs::metadata(file).unwrap().len() > 1 << 20)
        .collect();
    assert!(!tables.is_empty(), "nothing was flushed");
    for file in tables.iter().take(2) {
        let length = fs::metadata(file).unwrap().len() as usize;
        let (noticed, _) = flip_each(directory.path(), file, (1..length).step_by(length / 4));
        assert!(noticed >= 3, "{}: {noticed} of 5 flips were noticed", file.display());
    }
}

#[test]
fn a_missing_store_is_damage_once_something_was_acknowledged() {
    let directory = small_log(5);
    let answer = content_of_copy(directory.path(), |copy| fs::remove_dir_all(copy.join("db")).unwrap());
    assert!(matches!(answer, Err(TransportError::Damaged(_))), "{answer:?}");
}

#[test]
fn errors_name_the_place() {
    let directory = small_log(20);
    let journal = journal(directory.path());
    let relative = journal.strip_prefix(directory.path()).unwrap();
    let cut = content_of_copy(directory.path(), |copy| {
        fs::OpenOptions::new().write(true).open(copy.join(relative)).unwrap().set_len(1_500).unwrap();
    });
    let message = cut.unwrap_err().to_string();
    assert!(message.contains("the journal ends with write") && message.contains("was acknowledged"), "{message}");
}
