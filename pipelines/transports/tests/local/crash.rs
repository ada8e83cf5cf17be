//! `kill -9` in the middle of appends and transactions: what was acknowledged is there, and no transaction is there by half.
//!
//! The test runs its own binary as the process to be killed; an environment variable tells the two apart.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use millstream_transports::embedded::EmbeddedSync;
use millstream_transports::{
    Append, Batch, Change, CommitOutcome, LocalOptions, OffsetCommit, TopicPartition, Transport,
};

use crate::support::{at, join, open, topic, values};

const CHILD: &str = "MILLSTREAM_TEST_CRASH_DIRECTORY";
const OUTPUTS: u32 = 3;
const ROUNDS: usize = 6;

#[test]
fn a_killed_process_keeps_what_it_acknowledged() {
    if let Some(directory) = std::env::var_os(CHILD) {
        child(Path::new(&directory));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut committed) = (BTreeSet::new(), 0u64);
    for round in 0..ROUNDS {
        let before = acknowledged.len();
        run_and_kill(directory.path(), 40 + 37 * round, &mut acknowledged, &mut committed);
        assert!(acknowledged.len() > before, "round {round} acknowledged nothing");
        check(directory.path(), &acknowledged, committed);
    }
}

/// Lets the child run until it has told of so many acknowledgements, then kills it.
fn run_and_kill(directory: &Path, tellings: usize, acknowledged: &mut BTreeSet<String>, committed: &mut u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_killed_process_keeps_what_it_acknowledged", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = 0;
    let mut hear = |line: &str| {
        // The kill can cut a line short.
        let Some(line) = line.strip_suffix(" end") else { return false };
        // The test harness prints lines of its own, also without an end of line before ours.
        if let Some((_, id)) = line.split_once("APPENDED ") {
            acknowledged.insert(id.to_owned());
            return true;
        }
        if let Some((_, offset)) = line.split_once("COMMITTED ") {
            *committed = (*committed).max(offset.parse().unwrap());
            return true;
        }
        false
    };
    while told < tellings {
        let line = lines.next().expect("the child ended by itself").unwrap();
        told += usize::from(hear(&line));
    }
    child.kill().unwrap();
    // What it had told before it died.
    while let Some(Ok(line)) = lines.next() {
        hear(&line);
    }
    child.wait().unwrap();
}

fn check(directory: &Path, acknowledged: &BTreeSet<String>, committed: u64) {
    let log = open(directory, EmbeddedSync::EveryCommit, LocalOptions::default()).unwrap();
    let stored = values(&log, "in", 0);
    let distinct: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(distinct.len(), stored.len(), "a record is there twice");
    let missing: Vec<&String> = acknowledged.difference(&distinct).collect();
    assert!(missing.is_empty(), "acknowledged and not there: {missing:?}");

    let position = log.committed("g", "in", 0).unwrap().map_or(0, |position| position.offset);
    assert!(position >= committed, "offset {committed} was committed, {position} is there");
    let below: Vec<String> = crate::support::read_from(&log, "in", 0, 0)
        .unwrap()
        .into_iter()
        .filter(|(offset, _)| *offset < position)
        .map(|(_, value)| String::from_utf8(value).unwrap())
        .collect();
    for partition in 0..OUTPUTS {
        assert_eq!(values(&log, "out", partition), below, "output {partition} and the committed offset disagree");
    }
}

/// Appends from one thread, copies to three outputs in transactions on another, and tells of both, until it is killed.
fn child(directory: &Path) {
    let log = open(directory, EmbeddedSync::EveryCommit, LocalOptions::default()).unwrap();
    topic(&log, "in", 1);
    topic(&log, "out", OUTPUTS);
    let appending = {
        let log = log.clone();
        std::thread::spawn(move || {
            let appender = log.appender(vec!["in".into()]).unwrap();
            for n in 0u64.. {
                let id = format!("{}-{n}", std::process::id());
                // Sizes from tiny to several times the store's buffers.
                let value = format!("{id}-{}", "x".repeat((n as usize * 131) % 9_000));
                let append = Append { topic: 0, partition: 0, timestamp_ms: 0, key: b"", value: value.as_bytes() };
                let told = value.clone();
                let done = move |outcome: millstream_transports::Result<()>| {
                    outcome.unwrap();
                    tell(&format!("APPENDED {told}"));
                };
                while appender.queued_bytes() > 200_000 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                appender.append(&[append], Box::new(done)).unwrap();
            }
        })
    };
    let mut member = join(&log, "g", "one", &["in"], &["out"]);
    let mut batch = Batch::new();
    loop {
        let mut changes = Vec::new();
        member.poll(Duration::from_millis(100), &mut batch, &mut changes).unwrap();
        if changes.iter().any(|change| matches!(change, Change::Assigned(_))) {
            let position = member.committed(at(0, 0)).unwrap().map_or(0, |position| position.offset);
            member.seek(TopicPartition { topic: 0, partition: 0 }, position).unwrap();
        }
        let Some(last) = batch.iter().last().map(|found| found.offset) else { continue };
        for found in batch.iter() {
            for partition in 0..OUTPUTS {
                member.send(Append { topic: 0, partition, timestamp_ms: 0, key: b"", value: found.value }).unwrap();
            }
        }
        let offset = OffsetCommit { partition: at(0, 0), offset: last + 1, metadata: String::new() };
        assert_eq!(member.commit(&[offset]), CommitOutcome::Committed);
        tell(&format!("COMMITTED {}", last + 1));
        if appending.is_finished() {
            return;
        }
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line} end").unwrap();
    out.flush().unwrap();
}
