//! What a fresh task writes over a recorded input: the reference that Replay compares with.

use std::collections::BTreeMap;

use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::{FeedbackWatermark, HandOver, OrderEntry, OrderFact, frame};

use crate::committed::Committed;

/// A record as it is written: timestamp, key, value.
pub type Written = (i64, Vec<u8>, Vec<u8>);

/// What one task writes, by topic and partition.
pub type TaskOutputs = BTreeMap<(String, u32), Vec<Written>>;

/// What a fresh stage writes over the recorded input of one partition, record after record and without an epoch.
pub fn replay(factory: &dyn StageFactory, partition: u32, input: &[Committed]) -> TaskOutputs {
    let mut stage: Box<dyn Stage> = factory.make(partition);
    let names: Vec<String> = factory.outputs().into_iter().map(|topic| topic.name).collect();
    let mut written = TaskOutputs::new();
    let mut out = Outputs::new();
    for record in input {
        stage.on_record(record.as_record(partition), &mut out);
        stage.commit_epoch();
        for append in out.iter() {
            let topic = names.get(usize::from(append.topic)).cloned().unwrap_or_default();
            let record = (append.timestamp_ms, append.key.to_vec(), append.value.to_vec());
            written.entry((topic, append.partition)).or_default().push(record);
        }
        out.clear();
    }
    written
}

/// Whether the profile stage wrote this record of `events`; all others but control records are ingest's.
pub fn is_profiles(value: &[u8]) -> bool {
    let Ok((id, body)) = frame::split(value) else { return false };
    id == HandOver::ID
        || id == OrderFact::ID
        || id == FeedbackWatermark::ID
        || (id == OrderEntry::ID && OrderEntry::decode(body).is_ok_and(|entry| entry.kind == "owner"))
}
