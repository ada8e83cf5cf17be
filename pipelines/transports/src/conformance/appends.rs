//! Checks of acknowledged appends.

use std::sync::mpsc;

use super::driver::{PATIENCE, append, read, read_records, record, topic};
use super::{Failure, Fixture, Outcome, Verdict, ensure};
use crate::{Append, Batch, TransportError};

/// What was acknowledged is read back, byte by byte: empty keys and tombstones too.
pub fn append_is_acknowledged_and_read_back(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "read-back", 2)?;
    let appender = transport.appender(vec![name.clone()])?;
    let binary: Vec<u8> = (0..=255).collect();
    let sent = [
        Append { topic: 0, partition: 1, timestamp_ms: 1_700_000_000_001, key: b"k", value: &binary },
        Append { topic: 0, partition: 1, timestamp_ms: 1_700_000_000_002, key: b"", value: b"no key" },
        Append { topic: 0, partition: 1, timestamp_ms: 1_700_000_000_003, key: b"gone", value: b"" },
        Append { topic: 0, partition: 0, timestamp_ms: 1_700_000_000_004, key: b"other", value: b"elsewhere" },
    ];
    append(appender.as_ref(), &sent)?;
    let mut reader = transport.reader(&name, 1, 0)?;
    let (mut batch, mut index) = (Batch::new(), 0);
    let deadline = std::time::Instant::now() + PATIENCE;
    while index < 3 {
        reader.poll(std::time::Duration::from_millis(100), &mut batch)?;
        for found in batch.iter() {
            let Some(expected) = sent.get(index) else { return Err(Failure("more came than was sent".into())) };
            let same = found.key == expected.key
                && found.value == expected.value
                && found.timestamp_ms == expected.timestamp_ms
                && (found.topic, found.partition) == (0, 1);
            ensure!(same, "sent {expected:?}, read {found:?}");
            index += 1;
        }
        ensure!(std::time::Instant::now() < deadline, "{index} of 3 records came");
    }
    ensure!(read(transport, &name, 0, 1)? == ["elsewhere"], "the other partition holds something else");
    ensure!(
        appender.queued_bytes() == 0,
        "everything is acknowledged, yet {} bytes are queued",
        appender.queued_bytes()
    );
    Ok(Outcome::Held)
}

/// Records of a partition are read in the order they were appended, also those of many calls on their way at once.
pub fn order_within_a_partition(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "order", 3)?;
    let appender = transport.appender(vec![name.clone()])?;
    let (told, hear) = mpsc::channel();
    for call in 0..40 {
        let values: Vec<String> = (0..15).map(|n| format!("{:05}", call * 15 + n)).collect();
        let records: Vec<Append<'_>> = values.iter().zip(0u32..).map(|(value, n)| record(n % 3, value)).collect();
        let told = told.clone();
        let done = move |outcome| {
            // The receiver can only be gone when the check has given up.
            let _ = told.send(outcome);
        };
        appender.append(&records, Box::new(done))?;
    }
    for n in 0..40 {
        hear.recv_timeout(PATIENCE).map_err(|_| Failure(format!("{n} of 40 acknowledgements came")))??;
    }
    let mut total = 0;
    for partition in 0..3 {
        let found = read_records(transport, &name, partition, 200)?;
        ensure!(found.windows(2).all(|w| matches!(w, [a, b] if a.1 < b.1)), "partition {partition} is out of order");
        total += found.len();
    }
    ensure!(total == 600, "600 records were sent, {total} came");
    Ok(Outcome::Held)
}

/// A record above the limit is refused by its size, and the producer goes on.
pub fn too_large_records_are_refused(fixture: &mut dyn Fixture) -> Verdict {
    let transport = fixture.transport();
    let name = topic(transport, "too-large", 1)?;
    let large = vec![b'x'; 40 << 20];
    let mut transactions = transport.transactions(&super::driver::unique("too-large-id"), vec![name.clone()])?;
    let refused = transactions.send(Append { value: &large, ..record(0, "") });
    ensure!(
        matches!(refused, Err(TransportError::TooLarge { .. })),
        "a record of 40 MiB was answered with {refused:?}"
    );
    transactions.send(record(0, "small"))?;
    super::driver::ensure_committed(transactions.commit())?;
    let appender = transport.appender(vec![name.clone()])?;
    let refused = append(appender.as_ref(), &[Append { value: &large, ..record(0, "") }]);
    ensure!(refused.is_err(), "an append of 40 MiB was acknowledged");
    append(appender.as_ref(), &[record(0, "small too")])?;
    ensure!(read(transport, &name, 0, 2)? == ["small", "small too"], "something else was stored");
    Ok(Outcome::Held)
}
