//! Checks of consumer groups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::driver::{Driven, PATIENCE, append, at, ensure_committed, read, record, stable, topic, unique};
use super::{Failure, Fixture, Outcome, Verdict, ensure};
use crate::{Append, CommitOutcome, OffsetCommit, TopicPartition, Transport};

/// A member that another of the same instance id has replaced commits nothing any more; the newcomer has its partitions.
pub fn a_replaced_instance_is_fenced(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let (input, output) = (topic(transport, "replaced-in", 2)?, topic(transport, "replaced-out", 1)?);
    let group = unique("replaced-group");
    append(transport.appender(vec![input.clone()])?.as_ref(), &[record(0, "a"), record(1, "b")])?;
    let mut older = Driven::join(transport, &group, "same", &[&input], &[&output])?;
    older.until_received(2)?;
    older.member.send(record(0, "from the older"))?;
    let stale = older.positions();

    let mut newer = Driven::join(transport, &group, "same", &[&input], &[&output])?;
    newer.until_owned(2)?;
    newer.until_received(2)?;
    let outcome = older.member.commit(&stale);
    ensure!(matches!(outcome, CommitOutcome::Fenced(_)), "a stale generation's commit ended as {outcome:?}");
    let outcome = older.member.commit_offsets(&stale);
    ensure!(
        matches!(outcome, CommitOutcome::Fenced(_) | CommitOutcome::Aborted(_)),
        "a stale generation's offset commit ended as {outcome:?}"
    );
    ensure!(stable(|| newer.member.committed(at(0)))?.is_none(), "a stale generation committed an offset");
    newer.member.send(record(0, "from the newer"))?;
    let offsets = newer.positions();
    ensure_committed(newer.member.commit(&offsets))?;
    let found = read(transport, &output, 0, 1)?;
    ensure!(found == ["from the newer"], "read {found:?}");
    drop(older);
    newer.member.close()?;
    Ok(Outcome::Held)
}

/// Offsets of a partition that another member owns are refused, and outputs sent with them are not committed.
pub fn a_foreign_partition_is_not_committed(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let (input, output) = (topic(transport, "foreign-in", 2)?, topic(transport, "foreign-out", 1)?);
    let group = unique("foreign-group");
    append(transport.appender(vec![input.clone()])?.as_ref(), &[record(0, "a"), record(1, "b")])?;
    let mut one = Driven::join(transport, &group, "one", &[&input], &[&output])?;
    let mut two = Driven::join(transport, &group, "two", &[&input], &[&output])?;
    settle_ownership(&mut [&mut one, &mut two], 2)?;
    let Some(&theirs) = two.owned.first() else { return Err(Failure("the second member owns nothing".into())) };
    one.member.send(record(0, "must not appear"))?;
    let foreign = OffsetCommit { partition: theirs, offset: 1, metadata: String::new() };
    let outcome = one.member.commit(std::slice::from_ref(&foreign));
    ensure!(matches!(outcome, CommitOutcome::Fenced(_)), "a foreign partition's commit ended as {outcome:?}");
    let outcome = one.member.commit_offsets(&[foreign]);
    ensure!(matches!(outcome, CommitOutcome::Fenced(_)), "a foreign partition's offset commit ended as {outcome:?}");
    ensure!(stable(|| two.member.committed(theirs))?.is_none(), "a foreign member's offset was committed");
    two.until_received(1)?;
    two.member.send(record(0, "the owner's"))?;
    let offsets = two.positions();
    ensure_committed(two.member.commit(&offsets))?;
    let found = read(transport, &output, 0, 1)?;
    ensure!(found == ["the owner's"], "read {found:?}");
    one.member.close()?;
    two.member.close()?;
    Ok(Outcome::Held)
}

/// Polls the members until each owns something and together they own everything, once.
fn settle_ownership(members: &mut [&mut Driven], partitions: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for member in members.iter_mut() {
            member.step()?;
        }
        let all: BTreeSet<TopicPartition> = members.iter().flat_map(|m| m.owned.iter().copied()).collect();
        let count: usize = members.iter().map(|m| m.owned.len()).sum();
        if all.len() == partitions && count == partitions && members.iter().all(|m| !m.owned.is_empty()) {
            return Ok(());
        }
        let owned: Vec<_> = members.iter().map(|m| &m.owned).collect();
        ensure!(Instant::now() < deadline, "partitions are not shared: {owned:?}");
    }
}

/// Two members share all partitions, each owned once; through joining and leaving every record is processed exactly once.
pub fn a_rebalance_covers_every_partition_once(fixture: &mut dyn Fixture) -> Verdict {
    const PARTITIONS: u32 = 6;
    let transport = fixture.transport();
    let (input, output) = (topic(transport, "rebalance-in", PARTITIONS)?, topic(transport, "rebalance-out", 1)?);
    let group = unique("rebalance-group");
    let appender = transport.appender(vec![input.clone()])?;
    let mut expected = BTreeSet::new();
    let mut produce = |round: u32| -> Result<(), Failure> {
        let values: Vec<String> = (0..60).map(|n| format!("{round}-{n:02}")).collect();
        let records: Vec<Append<'_>> = values.iter().zip(0u32..).map(|(v, n)| record(n % PARTITIONS, v)).collect();
        append(appender.as_ref(), &records)?;
        expected.extend(values);
        Ok(())
    };
    let mut workers = Workers { transport, group: &group, input: &input, output: &output, driven: BTreeMap::new() };
    workers.start("one")?;
    produce(0)?;
    workers.run_until("all partitions are owned", |w| w.owned().len() == PARTITIONS as usize)?;
    workers.start("two")?;
    produce(1)?;
    workers.run_until("two members share all partitions", |w| {
        let owned = w.owned();
        let distinct: BTreeSet<&TopicPartition> = owned.iter().collect();
        owned.len() == 6 && distinct.len() == 6 && w.driven.values().all(|d| !d.owned.is_empty())
    })?;
    produce(2)?;
    workers.run_until("both have had a turn", |_| true)?;
    workers.stop("one")?;
    produce(3)?;
    workers.run_until("one member owns all partitions", |w| w.owned().len() == PARTITIONS as usize)?;
    let deadline = Instant::now() + PATIENCE;
    let mut seen;
    loop {
        workers.turn()?;
        seen = read(transport, &output, 0, 0)?;
        if seen.len() >= expected.len() {
            break;
        }
        ensure!(Instant::now() < deadline, "{} of {} records were processed", seen.len(), expected.len());
    }
    workers.turn()?;
    seen = read(transport, &output, 0, seen.len())?;
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    ensure!(distinct.len() == seen.len(), "{} records were processed twice", seen.len() - distinct.len());
    ensure!(distinct == expected, "other records were processed than were sent");
    workers.stop("two")?;
    Ok(Outcome::Held)
}

/// Members that copy their input to the output, as the runtime does: poll, send, commit; what failed is done again.
struct Workers<'a> {
    transport: &'a dyn Transport,
    group: &'a str,
    input: &'a str,
    output: &'a str,
    driven: BTreeMap<&'static str, Driven>,
}

impl Workers<'_> {
    fn start(&mut self, name: &'static str) -> Result<(), Failure> {
        let driven = Driven::join(self.transport, self.group, name, &[self.input], &[self.output])?;
        self.driven.insert(name, driven);
        Ok(())
    }

    fn stop(&mut self, name: &'static str) -> Result<(), Failure> {
        match self.driven.remove(name) {
            Some(driven) => Ok(driven.member.close()?),
            None => Ok(()),
        }
    }

    fn owned(&self) -> Vec<TopicPartition> {
        self.driven.values().flat_map(|driven| driven.owned.iter().copied()).collect()
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let mut fenced = Vec::new();
        for (&name, driven) in &mut self.driven {
            driven.step()?;
            if driven.received.is_empty() {
                continue;
            }
            for received in &driven.received {
                driven.member.send(record(0, &received.value))?;
            }
            let offsets = driven.positions();
            match driven.member.commit(&offsets) {
                CommitOutcome::Committed => driven.received.clear(),
                CommitOutcome::Fenced(_) => fenced.push(name),
                CommitOutcome::Aborted(_) => rewind_all(driven)?,
                CommitOutcome::Unknown(_) => {
                    driven.member.settle()?;
                    rewind_all(driven)?;
                }
            }
        }
        for name in fenced {
            self.driven.remove(name);
            self.start(name)?;
        }
        Ok(())
    }

    fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.turn()?;
            if holds(self) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "gave up waiting until {what}: {:?}", self.owned());
        }
    }
}

fn rewind_all(driven: &mut Driven) -> Result<(), Failure> {
    for partition in driven.owned.clone() {
        driven.rewind(partition)?;
    }
    Ok(())
}
