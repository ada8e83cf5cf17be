//! Checks of positions, offsets and topics.

use super::driver::{Driven, append, at, ensure_committed, record, stable, topic, unique};
use super::{Failure, Fixture, Outcome, Verdict, ensure};
use crate::{OffsetCommit, Retention, TopicSpec, TransportError};

/// A note beside an offset comes back exactly, to another member too, and is replaced with its offset.
pub fn metadata_is_kept_beside_offsets(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let (name, group) = (topic(transport, "metadata", 1)?, unique("metadata-group"));
    append(transport.appender(vec![name.clone()])?.as_ref(), &[record(0, "a"), record(0, "b")])?;
    let mut driven = Driven::join(transport, &group, "one", &[&name], &[])?;
    driven.until_received(2)?;
    let mut note = "{\"intent\":\"ÄÖ 1–2\",\"fill\":\"".to_owned();
    note.push_str(&"x".repeat(2_900));
    let commit = |offset, metadata: &str| OffsetCommit { partition: at(0), offset, metadata: metadata.to_owned() };
    ensure_committed(driven.member.commit_offsets(&[commit(1, &note)]))?;
    let committed = stable(|| driven.member.committed(at(0)))?;
    let kept = committed.is_some_and(|c| c.offset == 1 && c.metadata == note);
    ensure!(kept, "the note did not come back as it was");
    driven.member.close()?;
    let mut driven = Driven::join(transport, &group, "two", &[&name], &[])?;
    driven.until_owned(1)?;
    let committed = stable(|| driven.member.committed(at(0)))?;
    ensure!(committed.is_some_and(|c| c.metadata == note), "another member does not see the note");
    driven.until_received(1)?;
    ensure!(driven.received.first().is_some_and(|r| r.value == "b"), "reading did not go on at the committed offset");
    ensure_committed(driven.member.commit_offsets(&[commit(2, "")]))?;
    let committed = stable(|| transport.committed(&group, &name, 0))?;
    ensure!(committed.is_some_and(|c| c.offset == 2 && c.metadata.is_empty()), "the old note stayed");
    driven.member.close()?;
    Ok(Outcome::Held)
}

/// A topic is made once; with another partition count it is refused, and says both counts.
pub fn a_changed_partition_count_is_refused(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "count", 3)?;
    let spec = |partitions| [TopicSpec { name: name.clone(), partitions, retention: Retention::Forever }];
    transport.ensure_topics(&spec(3))?;
    for wanted in [2, 4] {
        let refused = transport.ensure_topics(&spec(wanted));
        let named = matches!(&refused, Err(TransportError::PartitionCount { topic, found: 3, wanted: w }) if *topic == name && *w == wanted);
        ensure!(named, "{wanted} partitions instead of 3 were answered with {refused:?}");
    }
    ensure!(transport.partition_count(&name)? == 3, "the count has changed");
    Ok(Outcome::Held)
}

/// Whoever opens a topic that does not exist is told its name.
pub fn missing_topics_are_named(fixture: &mut dyn Fixture) -> Verdict {
    let name = unique("missing");
    match fixture.transport().partition_count(&name) {
        Err(TransportError::UnknownTopic(missing)) if missing == name => Ok(Outcome::Held),
        other => Err(Failure(format!("a topic that does not exist was answered with {other:?}"))),
    }
}

/// Nothing is delivered before a seek or while paused; after a seek exactly what lies from there on.
pub fn earliest_seek_pause_and_resume(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "seek", 2)?;
    let appender = transport.appender(vec![name.clone()])?;
    let values: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    for value in &values {
        append(appender.as_ref(), &[record(0, value), record(1, value)])?;
    }
    let mut driven = Driven::join(transport, &unique("seek-group"), "one", &[&name], &[])?;
    driven.until_received(40)?;
    let earliest = driven.member.earliest(at(0))?;
    let offset_of = |driven: &Driven, value: &str| {
        let found = driven.received.iter().find(|r| r.at == at(0) && r.value == value);
        found.map(|r| r.offset).ok_or_else(|| Failure(format!("{value} did not come")))
    };
    ensure!(earliest <= offset_of(&driven, "00")?, "the earliest offset lies behind the first record");
    let middle = offset_of(&driven, "12")?;

    driven.received.clear();
    driven.member.seek(at(0), middle)?;
    driven.until_received(8)?;
    let values_of = |driven: &Driven, p| -> Vec<String> {
        driven.received.iter().filter(|r| r.at == at(p)).map(|r| r.value.clone()).collect()
    };
    ensure!(
        values_of(&driven, 0) == values.get(12..).unwrap_or_default(),
        "a seek went elsewhere: {:?}",
        driven.received
    );
    driven.until("the end is reached", |driven| Ok(driven.member.at_end(at(0))?))?;

    driven.received.clear();
    driven.member.pause(at(0))?;
    driven.member.seek(at(0), 0)?;
    append(appender.as_ref(), &[record(1, "while paused")])?;
    driven.until_received(1)?;
    for _ in 0..3 {
        driven.step()?;
    }
    ensure!(values_of(&driven, 0).is_empty(), "a paused partition was delivered");
    ensure!(values_of(&driven, 1) == ["while paused"], "the other partition stopped too");
    driven.member.resume(at(0))?;
    driven.until_received(21)?;
    ensure!(values_of(&driven, 0) == values, "seeking to 0 did not begin at the start: {:?}", values_of(&driven, 0));
    driven.member.close()?;
    Ok(Outcome::Held)
}
