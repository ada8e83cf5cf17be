//! Checks of transactions.

use std::time::{Duration, Instant};

use super::driver::{
    Driven, PATIENCE, append, at, ensure_committed, read, read_records, record, stable, topic, unique,
};
use super::{Fixture, Outcome, Verdict, ensure};
use crate::{Batch, CommitOutcome, TransportError};

/// What a transaction holds is seen when it is committed, all of it, and never otherwise.
pub fn open_and_aborted_transactions_are_invisible(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "invisible", 2)?;
    let mut transactions = transport.transactions(&unique("invisible-id"), vec![name.clone()])?;
    let mut reader = transport.reader(&name, 0, 0)?;
    let mut batch = Batch::new();
    transactions.send(record(0, "aborted"))?;
    transactions.send(record(1, "aborted"))?;
    reader.poll(Duration::from_millis(300), &mut batch)?;
    ensure!(batch.is_empty(), "records of an open transaction were read");
    transactions.abort()?;
    transactions.send(record(0, "first"))?;
    transactions.send(record(1, "second"))?;
    reader.poll(Duration::from_millis(300), &mut batch)?;
    ensure!(batch.is_empty(), "records of an open or aborted transaction were read");
    ensure_committed(transactions.commit())?;
    ensure!(read(transport, &name, 0, 1)? == ["first"], "partition 0 holds something else");
    ensure!(read(transport, &name, 1, 1)? == ["second"], "partition 1 holds something else");
    Ok(Outcome::Held)
}

/// Offsets rise, but have gaps where transactions ended; "at the end" is true where no record is left, whatever the gap behind it.
pub fn offsets_have_gaps_and_at_end_tells_the_truth(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "gaps", 1)?;
    let mut transactions = transport.transactions(&unique("gaps-id"), vec![name.clone()])?;
    for round in 0..3 {
        transactions.send(record(0, &format!("{round} a")))?;
        transactions.send(record(0, &format!("{round} b")))?;
        ensure_committed(transactions.commit())?;
        transactions.send(record(0, "aborted"))?;
        transactions.abort()?;
    }
    let found = read_records(transport, &name, 0, 6)?;
    let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
    ensure!(values == ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b"], "read {values:?}");
    let (first, last) = (found.first().map_or(0, |f| f.0), found.last().map_or(0, |f| f.0));
    ensure!(last - first > 5, "offsets are dense: {found:?}; a transaction must cost an offset");

    let mut driven = Driven::join(transport, &unique("gaps-group"), "one", &[&name], &[])?;
    driven.until_owned(1)?;
    ensure!(driven.received.len() == 6 || !driven.member.at_end(at(0))?, "at the end before everything was delivered");
    driven.until_received(6)?;
    driven.until("the end is reached", |driven| Ok(driven.member.at_end(at(0))?))?;
    transactions.send(record(0, "late"))?;
    ensure_committed(transactions.commit())?;
    driven.until_received(7)?;
    driven.until("the end is reached again", |driven| Ok(driven.member.at_end(at(0))?))?;
    driven.member.close()?;
    Ok(Outcome::Held)
}

/// Outputs and input offsets become visible together or not at all.
pub fn outputs_and_offsets_commit_together(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let (input, output) = (topic(transport, "together-in", 1)?, topic(transport, "together-out", 2)?);
    let group = unique("together-group");
    append(transport.appender(vec![input.clone()])?.as_ref(), &[record(0, "a"), record(0, "b")])?;
    let mut driven = Driven::join(transport, &group, "one", &[&input], &[&output])?;
    driven.until_received(2)?;
    driven.member.send(record(0, "never"))?;
    driven.member.abort()?;
    ensure!(stable(|| driven.member.committed(at(0)))?.is_none(), "an aborted transaction committed an offset");

    driven.member.send(record(0, "left"))?;
    driven.member.send(record(1, "right"))?;
    let offsets = driven.positions();
    ensure_committed(driven.member.commit(&offsets))?;
    let wanted = offsets.first().map(|offset| offset.offset);
    let committed = stable(|| driven.member.committed(at(0)))?;
    ensure!(committed.as_ref().map(|c| c.offset) == wanted, "committed {committed:?}, wanted {wanted:?}");
    let outside = stable(|| transport.committed(&group, &input, 0))?;
    ensure!(outside == committed, "the transport says {outside:?}, the member {committed:?}");
    ensure!(read(transport, &output, 0, 1)? == ["left"], "partition 0 of the output holds something else");
    ensure!(read(transport, &output, 1, 1)? == ["right"], "partition 1 of the output holds something else");
    // An epoch without output commits its offsets too.
    ensure_committed(driven.member.commit(&offsets))?;
    driven.member.close()?;
    Ok(Outcome::Held)
}

/// The newer holder of a transactional id fences the older one and ends its transaction.
pub fn a_transactional_id_fences_its_older_holder(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let (name, id) = (topic(transport, "fence", 1)?, unique("fence-id"));
    let mut older = transport.transactions(&id, vec![name.clone()])?;
    older.send(record(0, "before"))?;
    ensure_committed(older.commit())?;
    older.send(record(0, "zombie"))?;
    let mut newer = transport.transactions(&id, vec![name.clone()])?;
    newer.send(record(0, "after"))?;
    ensure_committed(newer.commit())?;
    let outcome = older.commit();
    ensure!(matches!(outcome, CommitOutcome::Fenced(_)), "the older holder's commit ended as {outcome:?}");
    let deadline = Instant::now() + PATIENCE;
    // A client library may notice only at its next call, or fail in another way first.
    let refused = loop {
        match older.send(record(0, "zombie")) {
            Err(TransportError::Fenced(_)) => break true,
            Err(_) => {}
            Ok(()) => match older.commit() {
                CommitOutcome::Fenced(_) => break true,
                CommitOutcome::Committed => break false,
                CommitOutcome::Aborted(_) | CommitOutcome::Unknown(_) => {}
            },
        }
        if Instant::now() > deadline {
            break false;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    ensure!(refused, "the older holder went on");
    newer.send(record(0, "still"))?;
    ensure_committed(newer.commit())?;
    let found = read(transport, &name, 0, 3)?;
    ensure!(found == ["before", "after", "still"], "read {found:?}");
    Ok(Outcome::Held)
}
