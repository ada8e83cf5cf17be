//! Helpers of the checks: unique names, patience, and a member that is driven until something holds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Failure, ensure};
use crate::{
    Append, Appender, Batch, Change, CommitOutcome, Member, MemberConfig, OffsetCommit, Retention, TopicPartition,
    TopicSpec, Transport, TransportError,
};

/// How long anything may take before a check gives up: a real broker on a loaded machine rebalances in seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// A name that no other check and no earlier run has used.
pub(super) fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
    format!("conformance.{what}.{}.{since}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A topic of its own.
pub(super) fn topic(transport: &dyn Transport, what: &str, partitions: u32) -> Result<String, Failure> {
    let name = unique(what);
    transport.ensure_topics(&[TopicSpec { name: name.clone(), partitions, retention: Retention::Forever }])?;
    // A broker tells of a new topic a little later.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match transport.partition_count(&name) {
            Ok(count) => {
                ensure!(count == partitions, "{name} was made with {partitions} partitions and has {count}");
                return Ok(name);
            }
            Err(TransportError::UnknownTopic(_)) if Instant::now() < deadline => std::thread::sleep(POLL),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn record(partition: u32, value: &str) -> Append<'_> {
    Append { topic: 0, partition, timestamp_ms: 1_700_000_000_000, key: b"key", value: value.as_bytes() }
}

/// Appends and waits for the acknowledgement.
pub(super) fn append(appender: &dyn Appender, records: &[Append<'_>]) -> Result<(), Failure> {
    let (told, hear) = mpsc::channel();
    let done = move |outcome| {
        // The receiver can only be gone when the check has given up.
        let _ = told.send(outcome);
    };
    appender.append(records, Box::new(done))?;
    match hear.recv_timeout(PATIENCE) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Failure("no acknowledgement of an append".into())),
    }
}

/// Reads values of one partition until `count` are there.
pub(super) fn read(
    transport: &dyn Transport,
    topic: &str,
    partition: u32,
    count: usize,
) -> Result<Vec<String>, Failure> {
    Ok(read_records(transport, topic, partition, count)?.into_iter().map(|(_, value)| value).collect())
}

/// Offsets and values of one partition, until `count` are there and the end is reached.
pub(super) fn read_records(
    transport: &dyn Transport,
    topic: &str,
    partition: u32,
    count: usize,
) -> Result<Vec<(u64, String)>, Failure> {
    let mut reader = transport.reader(topic, partition, 0)?;
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    let deadline = Instant::now() + PATIENCE;
    loop {
        reader.poll(POLL, &mut batch)?;
        found.extend(batch.iter().map(|r| (r.offset, String::from_utf8_lossy(r.value).into_owned())));
        if found.len() >= count && reader.at_end()? {
            break;
        }
        ensure!(Instant::now() < deadline, "{topic}[{partition}]: {} of {count} records came", found.len());
    }
    let rising = found.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
    ensure!(rising, "{topic}[{partition}]: offsets do not rise: {found:?}");
    Ok(found)
}

/// What [`Driven`] received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub at: TopicPartition,
    pub offset: u64,
    pub value: String,
}

/// A member that seeks what it is assigned to its committed offset (or the start) and keeps what it receives.
pub(super) struct Driven {
    pub member: Box<dyn Member>,
    pub owned: BTreeSet<TopicPartition>,
    pub received: Vec<Received>,
    batch: Batch,
}

impl Driven {
    pub(super) fn join(
        transport: &dyn Transport,
        group: &str,
        instance: &str,
        inputs: &[&str],
        outputs: &[&str],
    ) -> Result<Self, Failure> {
        let names = |topics: &[&str]| topics.iter().map(|&name| name.to_owned()).collect();
        let member = transport.member(MemberConfig {
            group: group.to_owned(),
            instance_id: instance.to_owned(),
            inputs: names(inputs),
            outputs: names(outputs),
        })?;
        Ok(Self { member, owned: BTreeSet::new(), received: Vec::new(), batch: Batch::new() })
    }

    /// One poll.
    pub(super) fn step(&mut self) -> Result<(), Failure> {
        let mut changes = Vec::new();
        self.member.poll(POLL, &mut self.batch, &mut changes)?;
        ensure!(changes.is_empty() || self.batch.is_empty(), "a poll gave records together with changes");
        for change in changes {
            match change {
                Change::Assigned(partitions) => {
                    for at in partitions {
                        ensure!(self.owned.insert(at), "{at:?} was assigned twice");
                        self.rewind(at)?;
                    }
                }
                Change::Revoked { partitions, .. } => {
                    for at in partitions {
                        ensure!(self.owned.remove(&at), "{at:?} was revoked and not owned");
                        self.received.retain(|received| received.at != at);
                    }
                }
            }
        }
        for received in self.batch.iter() {
            let at = TopicPartition { topic: received.topic, partition: received.partition };
            ensure!(self.owned.contains(&at), "a record of {at:?} came, which is not owned");
            let value = String::from_utf8_lossy(received.value).into_owned();
            self.received.push(Received { at, offset: received.offset, value });
        }
        Ok(())
    }

    /// Back to where the group has committed.
    pub(super) fn rewind(&mut self, at: TopicPartition) -> Result<(), Failure> {
        let committed = stable(|| self.member.committed(at))?;
        self.received.retain(|received| received.at != at);
        Ok(self.member.seek(at, committed.map_or(0, |committed| committed.offset))?)
    }

    /// Polls until something holds.
    pub(super) fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self)? {
            ensure!(Instant::now() < deadline, "gave up waiting until {what}");
            self.step()?;
        }
        Ok(())
    }

    pub(super) fn until_owned(&mut self, count: usize) -> Result<(), Failure> {
        self.until(&format!("{count} partitions are owned"), |driven| Ok(driven.owned.len() == count))
    }

    pub(super) fn until_received(&mut self, count: usize) -> Result<(), Failure> {
        self.until(&format!("{count} records have come"), |driven| Ok(driven.received.len() >= count))
    }

    /// Offsets behind everything received.
    pub(super) fn positions(&self) -> Vec<OffsetCommit> {
        let behind = |&at: &TopicPartition| {
            let last =
                self.received.iter().filter(|received| received.at == at).map(|received| received.offset).max()?;
            Some(OffsetCommit { partition: at, offset: last + 1, metadata: String::new() })
        };
        self.owned.iter().filter_map(behind).collect()
    }
}

/// Asks again while the answer is that it will come (a pending transaction, a broker that is busy).
pub(super) fn stable<T>(mut ask: impl FnMut() -> Result<T, TransportError>) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(TransportError::Unavailable(_)) if Instant::now() < deadline => std::thread::sleep(POLL),
            other => return Ok(other?),
        }
    }
}

pub(super) fn at(partition: u32) -> TopicPartition {
    TopicPartition { topic: 0, partition }
}

pub(super) fn ensure_committed(outcome: CommitOutcome) -> Result<(), Failure> {
    ensure!(outcome == CommitOutcome::Committed, "a commit ended as {outcome:?}");
    Ok(())
}
