//! Helpers: topics, appends that wait, whole partitions read back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions, EmbeddedSync};
use millstream_transports::{
    Append, Batch, Clock, LocalOptions, Member, MemberConfig, Result, Retention, TopicPartition, TopicSpec, Transport,
};

pub fn topic(log: &dyn Transport, name: &str, partitions: u32) {
    log.ensure_topics(&[TopicSpec { name: name.into(), partitions, retention: Retention::Forever }]).unwrap();
}

pub fn record(partition: u32, value: &[u8]) -> Append<'_> {
    Append { topic: 0, partition, timestamp_ms: 1_000, key: b"k", value }
}

/// Appends and waits for the acknowledgement.
pub fn append(log: &dyn Transport, topic: &str, records: &[Append<'_>]) {
    let (told, hear) = mpsc::channel();
    let appender = log.appender(vec![topic.into()]).unwrap();
    appender.append(records, Box::new(move |outcome| told.send(outcome).unwrap())).unwrap();
    hear.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
}

/// Offsets and values from `offset` to the end.
pub fn read_from(log: &dyn Transport, topic: &str, partition: u32, offset: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut reader = log.reader(topic, partition, offset)?;
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    loop {
        reader.poll(Duration::ZERO, &mut batch)?;
        found.extend(batch.iter().map(|r| (r.offset, r.value.to_vec())));
        if batch.is_empty() {
            assert!(reader.at_end()?, "nothing came before the end");
            return Ok(found);
        }
    }
}

pub fn values(log: &dyn Transport, topic: &str, partition: u32) -> Vec<String> {
    let found = read_from(log, topic, partition, 0).unwrap();
    found.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

pub fn join(log: &dyn Transport, group: &str, instance: &str, inputs: &[&str], outputs: &[&str]) -> Box<dyn Member> {
    let names = |topics: &[&str]| topics.iter().map(|&t| t.to_owned()).collect();
    let (inputs, outputs) = (names(inputs), names(outputs));
    log.member(MemberConfig { group: group.into(), instance_id: instance.into(), inputs, outputs }).unwrap()
}

pub fn at(topic: u16, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition }
}

/// A clock that moves only when told to.
pub fn held_clock() -> (Clock, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&now);
    (Clock::new(move || shown.load(Ordering::SeqCst)), now)
}

pub fn open(directory: &std::path::Path, sync: EmbeddedSync, local: LocalOptions) -> Result<EmbeddedLog> {
    EmbeddedLog::open(directory, EmbeddedOptions { sync, local, ..EmbeddedOptions::default() })
}
