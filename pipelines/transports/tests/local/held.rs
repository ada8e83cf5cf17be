//! What a reader holds stays as it is, whatever the log forgets and writes meanwhile: records are not copied for it, and their
//! memory is used again for others.

use std::time::Duration;

use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Batch, Retention, TopicSpec, Transport};

const RECORD_BYTES: usize = 1_000;
/// As many as make a segment of their own.
const ROUND: usize = 200;

fn append(log: &MemoryLog, fill: u8) {
    let appender = log.appender(vec!["t".into()]).unwrap();
    let (key, value) = ([fill], [fill; RECORD_BYTES]);
    let records =
        vec![Append { topic: 0, partition: 0, timestamp_ms: i64::from(fill), key: &key, value: &value }; ROUND];
    appender.append(&records, Box::new(|result| result.unwrap())).unwrap();
}

fn assert_holds(batch: &Batch, fill: u8) {
    assert_eq!(batch.len(), ROUND);
    assert_eq!(batch.size_bytes(), ROUND * (RECORD_BYTES + 1));
    for record in batch.iter() {
        assert_eq!((record.timestamp_ms, record.key), (i64::from(fill), &[fill][..]));
        assert!(record.value.len() == RECORD_BYTES && record.value.iter().all(|&byte| byte == fill));
    }
}

#[test]
fn a_held_batch_is_not_written_over() {
    let log = MemoryLog::new();
    log.ensure_topics(&[TopicSpec { name: "t".into(), partitions: 1, retention: Retention::Forever }]).unwrap();
    let mut reader = log.reader("t", 0, 0).unwrap();
    let mut held: Vec<(u8, Batch)> = Vec::new();
    // Where memory is given away too early, some round meets a buffer that a batch still shows.
    for fill in 1..=200u8 {
        append(&log, fill);
        let mut batch = if held.len() < 5 { Batch::new() } else { held.remove(0).1 };
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        log.drop_below("t", 0, log.end_offset("t", 0).unwrap()).unwrap();
        held.push((fill, batch));
        for (fill, batch) in &held {
            assert_holds(batch, *fill);
        }
    }
    // The log itself is long gone.
    drop((reader, log));
    let other = MemoryLog::new();
    other.ensure_topics(&[TopicSpec { name: "t".into(), partitions: 1, retention: Retention::Forever }]).unwrap();
    for _ in 0..20 {
        append(&other, 255);
    }
    for (fill, batch) in &held {
        assert_holds(batch, *fill);
    }
}

/// A batch must not keep the log from adding to the segment that it read last: little by little would cost a buffer each.
#[test]
fn a_held_batch_does_not_end_a_growing_segment() {
    let log = MemoryLog::new();
    log.ensure_topics(&[TopicSpec { name: "t".into(), partitions: 1, retention: Retention::Forever }]).unwrap();
    let appender = log.appender(vec!["t".into()]).unwrap();
    let mut reader = log.reader("t", 0, 0).unwrap();
    let mut held = Vec::new();
    for n in 0..100u8 {
        let record = Append { topic: 0, partition: 0, timestamp_ms: 0, key: &[], value: &[n] };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
        let mut batch = Batch::new();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        held.push(batch);
    }
    for (n, batch) in (0..).zip(&held) {
        assert_eq!(batch.iter().map(|record| record.value.to_vec()).collect::<Vec<_>>(), [[n]]);
    }
    // Whole segments only are dropped: had each record its own, half of them would go.
    log.drop_below("t", 0, 50).unwrap();
    let mut batch = Batch::new();
    log.reader("t", 0, 0).unwrap().poll(Duration::ZERO, &mut batch).unwrap();
    assert_eq!(batch.len(), 100);
}
