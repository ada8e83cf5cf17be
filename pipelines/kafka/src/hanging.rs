//! Hanging transactions: open in a partition, although nobody will end them.
//!
//! The broker ends a producer's transaction after `transaction_timeout_ms` at the latest. Where it forgets to (KAFKA-20734 in Kafka 4.3.0
//! to 4.4.0, after a crash), readers of committed records stand still in front of it, and nothing says so: to them the log ends there.

use std::fmt;
use std::time::{Duration, Instant};

use millstream_transports::Result;
use rdkafka::consumer::BaseConsumer;

use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::Quiet;
use crate::settings;
use crate::topics::{partition_count, watermarks};

/// The broker looks for transactions that have timed out every 10 s, unless it is set otherwise.
const CLEANUP: Duration = Duration::from_secs(12);
/// Between two looks at a transaction that is open.
const PAUSE: Duration = Duration::from_millis(200);

/// A transaction that has been open for longer than any may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HangingTransaction {
    /// Topic name.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Its first record; readers of committed records stand here.
    pub offset: u64,
}

impl fmt::Display for HangingTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset } = self;
        write!(
            f,
            "{topic}[{partition}]: a hanging transaction from offset {offset} on, which is as far as committed records can be read"
        )
    }
}

/// See [`crate::KafkaTransport::hanging_transactions`].
pub(crate) fn hanging(
    config: &KafkaConfig,
    committed: &BaseConsumer<Quiet>,
    topics: &[String],
) -> Result<Vec<HangingTransaction>> {
    let everything: BaseConsumer<Quiet> = settings::consumer(config, &format!("{}-check", config.client_id))?
        .set("isolation.level", "read_uncommitted")
        .create_with_context(Quiet::default())
        .map_err(|error| describe("starting a client", &error, None))?;
    let readable_to = |topic: &str, partition| Ok(watermarks(committed, topic, partition)?.1);
    let started = Instant::now();
    let mut open = Vec::new();
    for topic in topics {
        for partition in 0..partition_count(committed, topic)? {
            let at = i32::try_from(partition).unwrap_or(i32::MAX);
            // In this order, so that what is written in between makes a false suspicion, which passes, and never hides a true one.
            let offset = readable_to(topic, at)?;
            if offset < watermarks(&everything, topic, at)?.1 {
                open.push(HangingTransaction { topic: topic.clone(), partition, offset });
            }
        }
    }
    let longest = Duration::from_millis(u64::from(config.transaction_timeout_ms)) + CLEANUP;
    loop {
        let mut still = Vec::with_capacity(open.len());
        for one in open {
            if readable_to(&one.topic, i32::try_from(one.partition).unwrap_or(i32::MAX))? == one.offset {
                still.push(one);
            }
        }
        if still.is_empty() || started.elapsed() > longest {
            return Ok(still);
        }
        open = still;
        std::thread::sleep(PAUSE);
    }
}
