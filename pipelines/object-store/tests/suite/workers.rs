//! Workers that are killed go on from what the bucket has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_object_store::{ObjectSettings, ObjectSnapshots};
use millstream_runtime::snapshot::SnapshotStore;
use millstream_runtime::{Clock, EpochLimits, Outputs, SnapshotSettings, Stage, StageFactory, Worker, WorkerConfig};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Batch, Transport};

use crate::support;
use crate::tally::{PARTITIONS, Tallies, Tally};

/// Every look is a millisecond later.
#[derive(Default)]
struct StepClock(AtomicU64);

impl Clock for StepClock {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn worker(transport: &Arc<dyn Transport>, settings: &ObjectSettings, in_background: bool) -> Worker {
    let store: Arc<dyn SnapshotStore> = Arc::new(ObjectSnapshots::new(settings).unwrap());
    let config = WorkerConfig {
        namespace: String::new(),
        instance_id: "w".to_owned(),
        limits: EpochLimits { max_ms: 3, max_bytes: 1 << 20 },
        tick_after_ms: None,
        standbys: None,
        max_poisoned: 10,
        snapshots: Some(SnapshotSettings { interval_ms: 20, in_background, ..SnapshotSettings::new(store) }),
    };
    Worker::new(Arc::clone(transport), Arc::new(Tallies), Arc::new(StepClock::default()), config).unwrap()
}

fn feed(transport: &dyn Transport, n: u64) {
    let appender = transport.appender(vec!["in".to_owned()]).unwrap();
    let append = Append {
        topic: 0,
        partition: (n % u64::from(PARTITIONS)) as u32,
        timestamp_ms: 0,
        key: &[(n % 7) as u8],
        value: b"x",
    };
    appender.append(&[append], Box::new(|result| result.unwrap())).unwrap();
}

/// Everything committed in a partition, as (key, value).
fn read(transport: &dyn Transport, topic: &str, partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut reader = transport.reader(topic, partition, 0).unwrap();
    let (mut batch, mut all) = (Batch::new(), Vec::new());
    loop {
        let ended = reader.at_end().unwrap();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        all.extend(batch.iter().map(|record| (record.key.to_vec(), record.value.to_vec())));
        if ended && batch.is_empty() {
            return all;
        }
    }
}

/// What one undisturbed run over the recorded input gives.
fn undisturbed(transport: &dyn Transport, partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut stage, mut out) = (Tally::of(partition), Outputs::new());
    let mut reader = transport.reader("in", partition, 0).unwrap();
    let mut batch = Batch::new();
    loop {
        let ended = reader.at_end().unwrap();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        batch.iter().for_each(|record| stage.on_record(record, &mut out));
        if ended && batch.is_empty() {
            return out.iter().map(|append| (append.key.to_vec(), append.value.to_vec())).collect();
        }
    }
}

fn killed_again_and_again(settings: &ObjectSettings, in_background: bool) {
    let transport: Arc<dyn Transport> = Arc::new(MemoryLog::new());
    transport.ensure_topics(&Tallies.inputs()).unwrap();
    transport.ensure_topics(&Tallies.outputs()).unwrap();
    let (mut fed, mut restored) = (0, 0);
    for life in 0..5 {
        let mut worker = worker(&transport, settings, in_background);
        for _ in 0..60 {
            feed(transport.as_ref(), fed);
            fed += 1;
            worker.step().unwrap();
        }
        let stats = worker.stats();
        assert!(stats.replayed.load(Ordering::Relaxed) < fed, "life {life}");
        restored += stats.restored.load(Ordering::Relaxed);
        if life == 3 {
            // In order: the last life replays nothing.
            worker.close().unwrap();
        }
    }
    assert!(restored > 0, "no life began with a snapshot");
    let mut worker = worker(&transport, settings, in_background);
    for _ in 0..10 {
        worker.step().unwrap();
    }
    for partition in 0..PARTITIONS {
        let expected = undisturbed(transport.as_ref(), partition);
        assert!(!expected.is_empty());
        assert_eq!(read(transport.as_ref(), "out", partition), expected);
    }
}

#[test]
fn a_killed_worker_goes_on_from_the_bucket() {
    let Some(settings) = support::settings("a_killed_worker_goes_on_from_the_bucket") else { return };
    killed_again_and_again(&settings, false);
}

#[test]
fn a_killed_worker_goes_on_from_what_was_written_in_the_background() {
    let Some(settings) = support::settings("a_killed_worker_goes_on_from_what_was_written_in_the_background") else {
        return;
    };
    killed_again_and_again(&settings, true);
}
