//! Clients of readers that were closed, kept for the next ones: to start one and to connect takes longer than to read most partitions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use millstream_transports::Result;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::Quiet;
use crate::settings;

/// Clients kept at most: a comparison reads a few partitions side by side.
const KEPT: usize = 4;
/// Partitions after which a client is closed.
const PARTITIONS_MAX: usize = 10_000;
/// Events in the background that are thrown away before a client is used again; with more of them it is closed.
const STALE_MAX: usize = 1_000;

/// A client of readers, one after the other.
///
/// It reads no partition twice: where a client stands in a partition that it has left, librdkafka forgets a little later, and a reader
/// that begins anew there could take itself for done.
pub(crate) struct ReaderClient {
    pub consumer: BaseConsumer<Quiet>,
    has_read: BTreeSet<(String, u32)>,
}

/// The clients.
#[derive(Clone, Default)]
pub(crate) struct IdleReaders(Arc<Mutex<Vec<Arc<ReaderClient>>>>);

impl IdleReaders {
    /// A client that reads nothing now, and has never read this partition.
    pub fn take(&self, config: &KafkaConfig, topic: &str, partition: u32) -> Result<Arc<ReaderClient>> {
        let read = (topic.to_owned(), partition);
        let found = {
            let mut kept = self.0.lock();
            let fits = |client: &Arc<ReaderClient>| !client.has_read.contains(&read);
            kept.iter().position(fits).map(|at| kept.swap_remove(at)).and_then(Arc::into_inner)
        };
        if let Some(mut client) = found {
            client.has_read.insert(read.clone());
            // What it met in the background concerns nobody now.
            for _ in 0..STALE_MAX {
                if client.consumer.poll(Duration::ZERO).is_none() {
                    return Ok(Arc::new(client));
                }
            }
        }
        // librdkafka reads assigned partitions only with a group id, though this client never joins nor commits.
        let group = format!("{}-reader", config.client_id);
        let consumer = settings::consumer(config, &group)?
            // Not polled while nobody reads, so that log lines would pile up; errors are kept and bounded.
            .set_log_level(RDKafkaLogLevel::Critical)
            .create_with_context(Quiet::default())
            .map_err(|error| describe("starting a reader", &error, None))?;
        Ok(Arc::new(ReaderClient { consumer, has_read: BTreeSet::from([read]) }))
    }

    /// Keeps a client, unless it cannot be stopped reading or has read too much; where there are enough, in the place of another one.
    pub fn keep(&self, client: Arc<ReaderClient>) {
        if client.consumer.unassign().is_err() || client.has_read.len() >= PARTITIONS_MAX {
            return;
        }
        let mut kept = self.0.lock();
        // The one that has read most is of least use; it is closed when the lock is free again.
        let most = if kept.len() < KEPT {
            None
        } else {
            kept.iter().enumerate().max_by_key(|(_, client)| client.has_read.len()).map(|(at, _)| at)
        };
        let closed = most.map(|at| kept.swap_remove(at));
        kept.push(client);
        drop(kept);
        drop(closed);
    }
}
