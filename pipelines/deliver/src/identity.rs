//! Topics that are made anew under the same name: other offsets, other records, nothing of them delivered.

use millstream_transports::{Committed, TopicPartition, TransportError};

use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::intent::Note;
use crate::sink::Sink;

/// How often the identities of the topics are asked while running, in milliseconds. They are asked at every assignment besides, which
/// is what usually follows when a topic is made anew.
const ASK_EVERY_MS: u64 = 30_000;

impl<S: Sink> Deliverer<S> {
    /// Asks for the identity of every topic. False where the log does not say now; then it is tried again.
    pub(crate) fn learn_identities(&mut self) -> Result<bool, DeliverError> {
        self.identities_ms = self.monotonic_ms() + ASK_EVERY_MS;
        for route in &mut self.routes {
            match self.transport.topic_id(&route.topic) {
                Ok(topic_id) if topic_id == route.topic_id => {}
                Ok(topic_id) => {
                    tracing::warn!(
                        topic = route.topic,
                        former = route.topic_id,
                        now = topic_id,
                        "the topic was made anew"
                    );
                    route.topic_id = topic_id;
                }
                // It is being made anew at this moment.
                Err(error @ TransportError::UnknownTopic(_)) => {
                    self.wait_for_log(&error.to_string());
                    return Ok(false);
                }
                Err(error) => return self.log_trouble(error).map(|()| false),
            }
        }
        Ok(true)
    }

    /// Now and then: where a topic was made anew since its partitions were assigned, everything is let go of and joined anew, so that
    /// nothing that was read of the former topic passes for a record of the new one.
    pub(crate) fn check_identities(&mut self) -> Result<(), DeliverError> {
        if self.must_rejoin || self.monotonic_ms() < self.identities_ms.max(self.log_retry_ms) {
            return Ok(());
        }
        let before: Vec<String> = self.routes.iter().map(|route| route.topic_id.clone()).collect();
        if !self.learn_identities()? || self.routes.iter().map(|route| &route.topic_id).eq(before.iter()) {
            return Ok(());
        }
        self.lanes.clear();
        self.starting.clear();
        self.must_rejoin = true;
        self.try_rejoin().map(drop)
    }

    /// The identity that a note speaks of, where that is another topic than the one that is there now.
    pub(crate) fn other_topic(&self, partition: TopicPartition, note: &Note) -> Option<String> {
        let route = self.routes.get(usize::from(partition.topic))?;
        let noted = note.topic_id()?;
        // Where the log knew no identities, the name stood for the topic.
        (noted != route.topic_id && noted != route.topic).then(|| noted.to_owned())
    }

    /// Says, once a partition, that its topic is another one and is read from its beginning.
    pub(crate) fn made_anew(&mut self, partition: TopicPartition, former: &str, committed: &Committed, note: &Note) {
        self.stats.topics_made_anew += 1;
        let Some(route) = self.routes.get(usize::from(partition.topic)) else { return };
        let in_doubt = match note {
            Note::Intended(intent) => format!(
                "; of the former topic the batch {} to {} ({} rows) was intended and may or may not be in table {}",
                intent.first, intent.last, intent.rows, route.table
            ),
            Note::Delivered(_) | Note::Empty => String::new(),
        };
        tracing::error!(
            group = self.config.group,
            topic = route.topic,
            partition = partition.partition,
            former,
            now = route.topic_id,
            committed = committed.offset,
            "the topic was made anew under the same name: it is read from its beginning, and what the former one held beyond the \
             committed offset was not delivered{in_doubt}"
        );
    }
}
