//! Checks of what stays after restarts and unknown outcomes.

use super::driver::{Driven, append, at, ensure_committed, read, record, stable, topic, unique};
use super::{Fixture, Outcome, Verdict, ensure};
use crate::{CommitOutcome, Retention, TopicSpec};

/// Acknowledged records, committed transactions, offsets with their notes and topics are there after a restart; an open
/// transaction is not.
pub fn a_restart_keeps_everything(fixture: &mut dyn Fixture) -> Verdict {
    let (name, group) = (topic(fixture.transport(), "restart", 2)?, unique("restart-group"));
    let output = topic(fixture.transport(), "restart-out", 1)?;
    {
        let transport = fixture.transport();
        append(transport.appender(vec![name.clone()])?.as_ref(), &[record(0, "a"), record(1, "b"), record(0, "c")])?;
        let mut driven = Driven::join(transport, &group, "one", &[&name], &[&output])?;
        driven.until_received(3)?;
        driven.member.send(record(0, "copied"))?;
        let mut offsets = driven.positions();
        for offset in &mut offsets {
            offset.metadata = format!("note {}", offset.partition.partition);
        }
        ensure_committed(driven.member.commit(&offsets))?;
        driven.member.send(record(0, "never committed"))?;
    }
    fixture.reopen()?;
    let transport = fixture.transport();
    transport.ensure_topics(&[TopicSpec { name: name.clone(), partitions: 2, retention: Retention::Forever }])?;
    ensure!(read(transport, &name, 0, 2)? == ["a", "c"], "partition 0 changed in the restart");
    ensure!(read(transport, &name, 1, 1)? == ["b"], "partition 1 changed in the restart");
    let mut driven = Driven::join(transport, &group, "one", &[&name], &[&output])?;
    driven.until_owned(2)?;
    for partition in 0..2 {
        let committed = stable(|| driven.member.committed(at(partition)))?;
        let kept = committed.as_ref().is_some_and(|c| c.metadata == format!("note {partition}"));
        ensure!(kept, "partition {partition}'s committed offset is now {committed:?}");
    }
    append(transport.appender(vec![name.clone()])?.as_ref(), &[record(0, "d")])?;
    driven.until_received(1)?;
    let values: Vec<&str> = driven.received.iter().map(|r| r.value.as_str()).collect();
    ensure!(values == ["d"], "after the restart came {values:?}");
    driven.member.send(record(0, "copied too"))?;
    let offsets = driven.positions();
    ensure_committed(driven.member.commit(&offsets))?;
    let found = read(transport, &output, 0, 2)?;
    ensure!(found == ["copied", "copied too"], "the output holds {found:?}");
    driven.member.close()?;
    Ok(Outcome::Held)
}

/// After an unknown outcome and settling, the committed offset tells whether the transaction took place, and its outputs agree.
pub fn an_unknown_outcome_is_settled(fixture: &mut dyn Fixture) -> Verdict {
    for applied in [true, false] {
        let (input, output) =
            (topic(fixture.transport(), "unknown-in", 1)?, topic(fixture.transport(), "unknown-out", 1)?);
        let group = unique("unknown-group");
        append(fixture.transport().appender(vec![input.clone()])?.as_ref(), &[record(0, "a")])?;
        let mut driven = Driven::join(fixture.transport(), &group, "one", &[&input], &[&output])?;
        driven.until_received(1)?;
        driven.member.send(record(0, "once"))?;
        let offsets = driven.positions();
        if !fixture.next_commit_is_unknown(applied) {
            return Ok(Outcome::Skipped("this fixture cannot arrange an unknown outcome"));
        }
        let outcome = driven.member.commit(&offsets);
        ensure!(matches!(outcome, CommitOutcome::Unknown(_)), "the commit ended as {outcome:?}");
        driven.member.settle()?;
        let took_place = stable(|| driven.member.committed(at(0)))?.is_some();
        ensure!(took_place == applied, "applied: {applied}, but the committed offset says {took_place}");
        if !took_place {
            driven.member.send(record(0, "once"))?;
            ensure_committed(driven.member.commit(&offsets))?;
        }
        driven.member.send(record(0, "next"))?;
        ensure_committed(driven.member.commit(&offsets))?;
        let found = read(fixture.transport(), &output, 0, 2)?;
        ensure!(found == ["once", "next"], "applied: {applied}, read {found:?}");
        driven.member.close()?;
    }
    Ok(Outcome::Held)
}
