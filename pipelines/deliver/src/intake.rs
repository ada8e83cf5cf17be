//! Partitions come and go; records go into batches.

use millstream_transports::{Change, RecordRef, TopicPartition, TransportError};

use crate::dead_letter::DeadLetter;
use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::intent::{Intent, Note};
use crate::lane::{Lane, Phase};
use crate::reading::{Fate, read};
use crate::sink::{Row, Sink, SinkError};

impl<S: Sink> Deliverer<S> {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Assigned(partitions) => {
                tracing::info!(group = self.config.group, partitions = partitions.len(), "partitions assigned");
                self.starting.extend(partitions);
            }
            Change::Revoked { partitions, lost } => {
                tracing::info!(group = self.config.group, partitions = partitions.len(), lost, "partitions revoked");
                // What is open is not delivered: the new owner finds the intent, or no trace, and builds it anew.
                self.lanes.retain(|partition, _| !partitions.contains(partition));
                self.starting.retain(|partition| !partitions.contains(partition));
            }
        }
    }

    /// Reads where the group stands in newly assigned partitions, with the intent there may be, and begins there.
    pub(crate) fn start_lanes(&mut self) -> Result<(), DeliverError> {
        if self.starting.is_empty() || !self.learn_identities()? {
            return Ok(());
        }
        while let Some(partition) = self.starting.last().copied() {
            match self.start_lane(partition) {
                Ok(lane) => {
                    let lane = lane?;
                    self.lanes.insert(partition, lane);
                    self.starting.pop();
                }
                Err(error) => return self.log_trouble(error),
            }
        }
        Ok(())
    }

    fn start_lane(&mut self, partition: TopicPartition) -> Result<Result<Lane<S::Rows>, DeliverError>, TransportError> {
        let topic = self.routes.get(usize::from(partition.topic)).map_or("", |route| &route.topic);
        let Some(committed) = self.member.committed(partition)? else {
            self.member.seek(partition, 0)?;
            return Ok(Ok(Lane::new(partition, 0, None)));
        };
        let note = match Note::decode(&committed.metadata) {
            Ok(note) => note,
            Err(why) => {
                return Ok(Err(DeliverError::ForeignMetadata {
                    group: self.config.group.clone(),
                    topic: topic.to_owned(),
                    partition: partition.partition,
                    metadata: committed.metadata,
                    why: why.to_string(),
                }));
            }
        };
        if let Some(former) = self.other_topic(partition, &note) {
            self.made_anew(partition, &former, &committed, &note);
            self.member.seek(partition, 0)?;
            return Ok(Ok(Lane::new(partition, 0, None)));
        }
        let intent = match note {
            Note::Intended(intent) => Some(intent),
            Note::Delivered(_) | Note::Empty => None,
        };
        let earliest = self.member.earliest(partition)?;
        if earliest > committed.offset {
            // An idle partition whose retention passed looks the same: the log cannot tell whether these offsets held records.
            self.stats.possible_gaps += 1;
            let (group, partition) = (&self.config.group, partition.partition);
            tracing::error!(
                group,
                topic,
                partition,
                committed = committed.offset,
                earliest,
                "the log begins after the committed offset: records between the two, if there were any, were removed by \
                 retention before they were delivered"
            );
        }
        let from = committed.offset.max(earliest);
        self.member.seek(partition, from)?;
        Ok(Ok(Lane::new(partition, from, intent)))
    }

    /// Puts a record into its batch. True where that batch is complete.
    pub(crate) fn take(&mut self, record: &RecordRef<'_>, now_ms: u64) -> Result<bool, DeliverError> {
        let partition = TopicPartition { topic: record.topic, partition: record.partition };
        let (Some(lane), Some(route)) = (self.lanes.get_mut(&partition), self.routes.get(usize::from(record.topic)))
        else {
            // Revoked, or fenced in the middle of this poll.
            return Ok(false);
        };
        if record.offset < lane.position {
            return Ok(false);
        }
        if !lane.takes_records() {
            lane.rewind = true;
            return Ok(false);
        }
        if let Some(intended) = lane.rebuilding.as_ref().filter(|intended| record.offset > intended.last) {
            let why = format!("record {} is no longer in the log; the next one is {}", intended.last, record.offset);
            let intended = intended.clone();
            return Err(self.mismatch(partition, intended, why));
        }
        let fate = read(route, &self.config.schema_ids, self.config.required_purposes, record.value);
        let ends_at = lane.rebuilding.as_ref().map(|intended| intended.last);
        let rejects_before = lane.rejects_in_a_row;
        let begin = |topic_id: &str| self.sink.begin_of(route.schema, topic_id);
        let open = lane.open_with(record, now_ms, &route.topic_id, begin);
        let mut in_a_row = 0;
        match fate {
            Fate::Row(values) => {
                let row = Row { log_partition: record.partition, log_offset: record.offset, values: &values };
                if let Err(error) = self.sink.add(&mut open.rows, &row) {
                    return Err(self.not_added(partition, record.offset, error));
                }
                open.hash.add(record.offset, record.value);
                open.row_count += 1;
            }
            Fate::Filtered => open.filtered += 1,
            Fate::Skipped => open.skipped += 1,
            Fate::Rejected(reject) => {
                tracing::warn!(
                    topic = route.topic,
                    partition = record.partition,
                    offset = record.offset,
                    reason = reject.reason.as_str(),
                    detail = reject.detail,
                    "dead letter"
                );
                in_a_row = rejects_before + 1;
                if in_a_row >= self.config.max_rejects_in_a_row {
                    return Err(DeliverError::TooManyRejects {
                        group: self.config.group.clone(),
                        topic: route.topic.clone(),
                        partition: record.partition,
                        offset: record.offset,
                        count: in_a_row,
                        detail: reject.detail,
                    });
                }
                let letter = DeadLetter::new(reject, route, record);
                open.dead_letter_bytes += letter.size_bytes();
                open.dead_letters.push(letter);
                open.rejected += 1;
            }
        }
        let limits = &self.config.limits;
        let complete = match ends_at {
            Some(last) => open.last == last,
            None => {
                open.row_count >= limits.max_rows as u64
                    || self.sink.size_bytes(&open.rows) + open.dead_letter_bytes >= limits.max_bytes
            }
        };
        if complete {
            open.phase = Phase::Sealed;
        }
        lane.rejects_in_a_row = in_a_row;
        Ok(complete)
    }

    /// Goes back to the first record that was polled but not taken.
    pub(crate) fn rewind_lanes(&mut self) -> Result<(), DeliverError> {
        let back: Vec<(TopicPartition, u64)> =
            self.lanes.values().filter(|lane| lane.rewind).map(|lane| (lane.partition, lane.position)).collect();
        for (partition, position) in back {
            if let Err(error) = self.member.seek(partition, position) {
                // The mark stays: the lane takes nothing before it could go back.
                return self.log_trouble(error);
            }
            if let Some(lane) = self.lanes.get_mut(&partition) {
                lane.rewind = false;
            }
        }
        Ok(())
    }

    /// An intended batch whose last record will never come again must not wait for ever.
    pub(crate) fn check_rebuilds_can_end(&mut self) -> Result<(), DeliverError> {
        let waiting: Vec<(TopicPartition, Intent)> = self
            .lanes
            .values()
            .filter(|lane| !lane.paused && !lane.is_stuck())
            .filter_map(|lane| lane.rebuilding.clone().map(|intent| (lane.partition, intent)))
            .collect();
        for (partition, intended) in waiting {
            match self.member.at_end(partition) {
                Ok(false) => {}
                Ok(true) => {
                    let why = format!("the log ends before record {}", intended.last);
                    return Err(self.mismatch(partition, intended, why));
                }
                Err(error) => return self.log_trouble(error),
            }
        }
        Ok(())
    }

    fn mismatch(&self, partition: TopicPartition, intended: Intent, why: String) -> DeliverError {
        let route = self.routes.get(usize::from(partition.topic));
        DeliverError::Mismatch {
            group: self.config.group.clone(),
            topic: route.map_or_else(String::new, |route| route.topic.clone()),
            partition: partition.partition,
            table: route.map_or("", |route| route.table),
            intended: Box::new(intended),
            why,
        }
    }

    /// Rows are encoded from values that fit their schema; a sink that cannot is at odds with the schemas.
    fn not_added(&self, partition: TopicPartition, offset: u64, error: SinkError) -> DeliverError {
        let topic = self.routes.get(usize::from(partition.topic)).map_or("", |route| &route.topic);
        DeliverError::Conflict {
            group: self.config.group.clone(),
            batch: format!("{topic}[{}] record {offset}", partition.partition),
            why: format!("its row cannot be encoded: {error}"),
        }
    }
}
