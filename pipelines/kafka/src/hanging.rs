//! Hanging transactions: open in a partition, although nobody will end them.
//!
//! The broker ends a producer's transaction after `transaction_timeout_ms` at the latest. Where it forgets to (KAFKA-20734 in Kafka 4.3.0
//! to 4.4.0, after a crash), readers of committed records stand still in front of it, and nothing says so: to them the log ends there.

use std::fmt;
use std::time::{Duration, Instant};

use millstream_transports::{Result, TransportError};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;

use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::Quiet;
use crate::settings;
use crate::topics::{partition_count, watermarks};

/// How much later than its time-out the end of a transaction can come: the broker looks every 10 s by default, and may have to load its
/// transactions first.
pub(crate) const OVERDUE: Duration = Duration::from_secs(20);
/// Between two looks at a partition that is held.
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
            "{topic}[{partition}]: a transaction hangs from offset {offset} on; committed records can be read up to there only"
        )
    }
}

/// A partition whose committed records end before its last one.
struct Held {
    topic: String,
    partition: u32,
    /// Where it ended at the first look: whatever lies below began before that, so it is due by the same time.
    end: u64,
    /// Up to where committed records can be read.
    readable: u64,
}

/// See [`crate::KafkaTransport::hanging_transactions`].
pub(crate) fn hanging(
    config: &KafkaConfig,
    committed: &BaseConsumer<Quiet>,
    topics: &[String],
    waiting: &dyn Fn(Duration),
) -> Result<Vec<HangingTransaction>> {
    let everything: BaseConsumer<Quiet> = settings::consumer(config, &format!("{}-check", config.client_id))?
        .set("isolation.level", "read_uncommitted")
        // Hardly polled, so that log lines would pile up; errors are kept and bounded.
        .set_log_level(RDKafkaLogLevel::Critical)
        .create_with_context(Quiet::default())
        .map_err(|error| describe("starting a client", &error, None))?;
    let end_of = |client, topic: &str, partition: u32| {
        let partition = i32::try_from(partition)
            .map_err(|_| TransportError::Other(format!("{topic} has no partition {partition}")))?;
        Ok(watermarks(client, topic, partition)?.1)
    };
    let mut held = Vec::new();
    for topic in topics {
        for partition in 0..partition_count(committed, topic)? {
            // In this order, so that what is written in between makes a suspicion that passes, and never hides a true one.
            let readable = end_of(committed, topic, partition)?;
            let end = end_of(&everything, topic, partition)?;
            if readable < end {
                held.push(Held { topic: topic.clone(), partition, end, readable });
            }
        }
    }
    let longest = Duration::from_millis(u64::from(config.transaction_timeout_ms)) + OVERDUE;
    let started = Instant::now();
    if !held.is_empty() {
        waiting(longest);
    }
    still_held(
        held,
        |topic, partition| end_of(committed, topic, partition),
        || {
            std::thread::sleep(PAUSE);
            started.elapsed() < longest
        },
    )
}

/// Looks at what is held until nothing is, or `go_on` says that the time is over.
fn still_held(
    mut held: Vec<Held>,
    readable_to: impl Fn(&str, u32) -> Result<u64>,
    go_on: impl Fn() -> bool,
) -> Result<Vec<HangingTransaction>> {
    loop {
        for one in &mut held {
            one.readable = readable_to(&one.topic, one.partition)?;
        }
        // Another one may be behind one that has ended.
        held.retain(|one| one.readable < one.end);
        if held.is_empty() || !go_on() {
            let named =
                |Held { topic, partition, readable: offset, .. }| HangingTransaction { topic, partition, offset };
            return Ok(held.into_iter().map(named).collect());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::cell::Cell;

    use super::{HangingTransaction, Held, still_held};

    fn held(end: u64, readable: u64) -> Vec<Held> {
        vec![Held { topic: "events".to_owned(), partition: 3, end, readable }]
    }

    /// What is found where the end of committed records moves so, look by look.
    fn found(end: u64, ends: &[u64]) -> Vec<u64> {
        let look = Cell::new(0);
        let readable_to = |_: &str, _| {
            look.set(look.get() + 1);
            Ok(ends[look.get() - 1])
        };
        let found = still_held(held(end, ends[0]), readable_to, || look.get() < ends.len()).unwrap();
        assert!(found.iter().all(|one| one.topic == "events" && one.partition == 3));
        found.into_iter().map(|HangingTransaction { offset, .. }| offset).collect()
    }

    #[test]
    fn one_behind_another_that_ends_is_found() {
        assert_eq!(found(120, &[100, 100, 105, 105]), [105]);
        assert_eq!(found(120, &[100, 100, 100]), [100]);
    }

    #[test]
    fn others_that_begin_later_are_none() {
        assert!(found(120, &[100, 130, 130]).is_empty());
        assert!(found(120, &[100, 120]).is_empty());
    }
}
