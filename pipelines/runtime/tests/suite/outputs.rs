//! Outputs against a model that copies everything: savepoints, order, what reaches the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use millstream_runtime::Outputs;
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Batch, CommitOutcome, MemberConfig, Retention, TopicSpec, Transport};
use proptest::prelude::*;

/// Topic, partition, timestamp, key, value.
type Record = (u16, u32, i64, Vec<u8>, Vec<u8>);

#[derive(Debug, Clone)]
enum Action {
    Push {
        topic: u16,
        partition: u32,
        length: usize,
    },
    /// A stage panics while it writes a record; the runtime takes it back.
    Panic {
        topic: u16,
        partition: u32,
    },
    Mark,
    Truncate,
}

fn action() -> impl Strategy<Value = Action> {
    let length = prop_oneof![4 => 0..2_000usize, 1 => 40_000..90_000usize];
    prop_oneof![
        8 => (0..2u16, 0..3u32, length).prop_map(|(topic, partition, length)| Action::Push { topic, partition, length }),
        1 => (0..2u16, 0..3u32).prop_map(|(topic, partition)| Action::Panic { topic, partition }),
        2 => Just(Action::Mark),
        1 => Just(Action::Truncate),
    ]
}

fn records(out: &Outputs) -> Vec<Record> {
    let copy =
        |r: millstream_transports::Append<'_>| (r.topic, r.partition, r.timestamp_ms, r.key.to_vec(), r.value.to_vec());
    out.iter().map(copy).collect()
}

/// What the log holds of one partition.
fn read(log: &MemoryLog, topic: u16, partition: u32) -> Vec<Record> {
    let mut reader = log.reader(&format!("out{topic}"), partition, 0).unwrap();
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    while !reader.at_end().unwrap() {
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        found.extend(batch.iter().map(|r| (topic, partition, r.timestamp_ms, r.key.to_vec(), r.value.to_vec())));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn agree_with_a_model_and_reach_the_log(epochs in prop::collection::vec(prop::collection::vec(action(), 0..60), 1..4)) {
        let log = MemoryLog::new();
        let topics: Vec<TopicSpec> = (0..2)
            .map(|n| TopicSpec { name: format!("out{n}"), partitions: 3, retention: Retention::Forever })
            .collect();
        log.ensure_topics(&topics).unwrap();
        let outputs = topics.iter().map(|topic| topic.name.clone()).collect();
        let config = MemberConfig { group: "g".into(), instance_id: "i".into(), inputs: Vec::new(), outputs };
        let mut member = log.member(config).unwrap();
        let (mut out, mut committed) = (Outputs::new(), Vec::<Record>::new());
        let mut time = 0;
        for actions in epochs {
            let mut model = Vec::<Record>::new();
            let mut mark = (out.mark(), 0);
            for action in actions {
                time += 1;
                match action {
                    Action::Push { topic, partition, length } => {
                        let (key, value) = (time.to_string().into_bytes(), vec![time as u8; length]);
                        // Not in order of time: what is taken back must not be remembered as the newest.
                        let timestamp_ms = (time * 7_919) % 1_000;
                        out.push(topic, partition, timestamp_ms, &key, |bytes| bytes.extend_from_slice(&value));
                        model.push((topic, partition, timestamp_ms, key, value));
                    }
                    Action::Panic { topic, partition } => {
                        let before = out.mark();
                        let panicked = catch_unwind(AssertUnwindSafe(|| {
                            out.push(topic, partition, 1, b"k", |bytes| {
                                bytes.push(1);
                                std::panic::resume_unwind(Box::new("half way"));
                            });
                        }));
                        prop_assert!(panicked.is_err());
                        out.truncate(before);
                    }
                    Action::Mark => mark = (out.mark(), model.len()),
                    Action::Truncate => { out.truncate(mark.0); model.truncate(mark.1); }
                }
                prop_assert_eq!(out.len(), model.len());
                let bytes: usize = model.iter().map(|record| record.3.len() + record.4.len()).sum();
                prop_assert_eq!(out.size_bytes(), bytes);
            }
            prop_assert_eq!(records(&out), &model[..]);
            out.send(&mut *member).unwrap();
            prop_assert!(out.is_empty() && out.size_bytes() == 0);
            prop_assert_eq!(member.commit(&[]), CommitOutcome::Committed);
            committed.extend(model);
        }
        for topic in 0..2 {
            for partition in 0..3 {
                let of: Vec<Record> =
                    committed.iter().filter(|r| (r.0, r.1) == (topic, partition)).cloned().collect();
                prop_assert_eq!(read(&log, topic, partition), of);
            }
        }
    }
}
