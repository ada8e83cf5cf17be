//! How far the committed scores are, as a reader outside any group sees them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_schemas::Propensity;
use millstream_transports::embedded::EmbeddedLog;
use millstream_transports::{Batch, Transport};

/// Between two notes of where a reader is.
const NOTED_RECORDS: u64 = 1_000;

/// The newest scored event of each partition.
pub struct Scored {
    newest_ms: Arc<Vec<AtomicI64>>,
}

impl Scored {
    /// Follows the scores of all partitions, from where the process that died was; `folder` keeps that.
    pub fn watch(log: &EmbeddedLog, folder: &Path, partitions: u32) -> Self {
        std::fs::create_dir_all(folder).expect("the folder can be made");
        let newest_ms: Arc<Vec<AtomicI64>> = Arc::new((0..partitions).map(|_| AtomicI64::new(0)).collect());
        for partition in 0..partitions {
            let noted = folder.join(partition.to_string());
            let mut offset = std::fs::read_to_string(&noted).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            let mut reader = log.reader(Propensity::TOPIC, partition, offset).expect("the topic exists");
            let newest_ms = Arc::clone(&newest_ms);
            std::thread::spawn(move || {
                let (mut batch, mut noted_at) = (Batch::new(), offset);
                loop {
                    reader.poll(Duration::from_millis(20), &mut batch).expect("the log works");
                    for record in batch.iter() {
                        newest_ms[partition as usize].fetch_max(record.timestamp_ms, Ordering::Release);
                        offset = record.offset + 1;
                    }
                    if offset - noted_at >= NOTED_RECORDS {
                        std::fs::write(&noted, offset.to_string()).expect("the folder can be written");
                        noted_at = offset;
                    }
                }
            });
        }
        Self { newest_ms }
    }

    /// The newest scored event of the partition that is furthest behind: when it was received, milliseconds since the epoch.
    pub fn oldest_ms(&self) -> i64 {
        self.newest_ms.iter().map(|newest| newest.load(Ordering::Acquire)).min().unwrap_or(0)
    }
}
