//! Commits: what is refused before it begins, and what the outcome means.

use millstream_transports::{CommitOutcome, Member, OffsetCommit, TransportError};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaMember;
use crate::errors::{Meaning, meaning};
use crate::transactional::{GroupOffsets, TransactionalProducer};

/// Offset metadata beyond this is refused (the broker's default limit is 4,096).
const METADATA_BYTES: usize = 3_000;

impl KafkaMember {
    /// Commits the open transaction with these offsets.
    pub(super) fn commit_transaction(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        if let Some(outcome) = self.forbidden() {
            return self.refuse(outcome);
        }
        let fence = if offsets.is_empty() { self.fence() } else { None };
        let list = match self.offset_list(fence.as_ref().map_or(offsets, std::slice::from_ref)) {
            Ok(list) => list,
            Err(outcome) => return self.refuse(outcome),
        };
        let Some(metadata) = self.group.consumer.group_metadata() else {
            return self.refuse(CommitOutcome::Fenced("the consumer has no group".to_owned()));
        };
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return CommitOutcome::Aborted(error.to_string()),
        };
        let added = (list.count() > 0).then_some(GroupOffsets { offsets: &list, group: &metadata });
        let outcome = producer.commit(added);
        self.unsettled = matches!(outcome, CommitOutcome::Unknown(_));
        self.left_behind |= matches!(outcome, CommitOutcome::Fenced(_));
        self.remember(&outcome, offsets);
        outcome
    }

    /// The group's generation is checked with offsets only. A transaction that has none repeats the last one, so that a member that
    /// the group has left behind cannot commit outputs either. `None` where nothing is open, or nothing was ever committed.
    fn fence(&mut self) -> Option<OffsetCommit> {
        if !self.producer.as_ref().is_some_and(TransactionalProducer::is_open) {
            return None;
        }
        if self.last_committed.is_none() {
            let partition = *self.owned.all().first()?;
            let found = Member::committed(self, partition).ok().flatten()?;
            self.last_committed = Some(OffsetCommit { partition, offset: found.offset, metadata: found.metadata });
        }
        self.last_committed.clone()
    }

    fn remember(&mut self, outcome: &CommitOutcome, offsets: &[OffsetCommit]) {
        if let (CommitOutcome::Committed, Some(newest)) = (outcome, offsets.last()) {
            self.last_committed = Some(newest.clone());
        }
    }

    /// Commits offsets outside any transaction.
    pub(super) fn commit_plain(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        if let Some(outcome) = self.forbidden() {
            return outcome;
        }
        let list = match self.offset_list(offsets) {
            Ok(list) => list,
            Err(outcome) => return outcome,
        };
        if list.count() == 0 {
            return CommitOutcome::Committed;
        }
        let Err(error) = self.group.consumer.commit(&list, CommitMode::Sync) else {
            self.remember(&CommitOutcome::Committed, offsets);
            return CommitOutcome::Committed;
        };
        self.last_committed = None;
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let reason = error.to_string();
        match meaning(code) {
            Meaning::TakenOver => {
                self.taken_over = Some(reason.clone());
                CommitOutcome::Fenced(reason)
            }
            Meaning::StaleGroup => {
                self.left_behind = true;
                CommitOutcome::Fenced(reason)
            }
            // Refused by the coordinator, so certain.
            _ if matches!(
                code,
                Code::RebalanceInProgress | Code::OffsetMetadataTooLarge | Code::InvalidCommitOffsetSize
            ) =>
            {
                CommitOutcome::Aborted(reason)
            }
            Meaning::NotAllowed | Meaning::UnknownTopic => CommitOutcome::Aborted(reason),
            Meaning::Transient | Meaning::Passing | Meaning::Damaged | Meaning::Other => CommitOutcome::Unknown(reason),
        }
    }

    fn offset_list(&self, offsets: &[OffsetCommit]) -> std::result::Result<TopicPartitionList, CommitOutcome> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for commit in offsets {
            let refused = |reason: String| CommitOutcome::Fenced(reason);
            if self.owned.get(commit.partition).is_none() {
                return Err(refused(format!(
                    "partition {} of input {} does not belong to member {}",
                    commit.partition.partition, commit.partition.topic, self.config.instance_id
                )));
            }
            if commit.metadata.len() > METADATA_BYTES {
                return Err(CommitOutcome::Aborted(format!(
                    "offset metadata of {} bytes exceeds the limit of {METADATA_BYTES}",
                    commit.metadata.len()
                )));
            }
            let (topic, partition) =
                self.name(commit.partition).map_err(|error| CommitOutcome::Aborted(error.to_string()))?;
            let offset = Offset::Offset(i64::try_from(commit.offset).unwrap_or(i64::MAX));
            let mut element = list.add_partition(&topic, partition);
            element.set_offset(offset).map_err(|error| CommitOutcome::Aborted(error.to_string()))?;
            if !commit.metadata.is_empty() {
                element.set_metadata(&commit.metadata);
            }
        }
        Ok(list)
    }

    /// Ends the open transaction because the commit was refused before it began.
    fn refuse(&mut self, outcome: CommitOutcome) -> CommitOutcome {
        match Member::abort(self) {
            Err(TransportError::Fenced(reason)) => CommitOutcome::Fenced(reason),
            Ok(()) | Err(_) => outcome,
        }
    }

    /// What forbids a commit from the start.
    fn forbidden(&mut self) -> Option<CommitOutcome> {
        if let Err(error) = self.check_taken_over() {
            return Some(CommitOutcome::Fenced(error.to_string()));
        }
        if self.unsettled {
            return Some(CommitOutcome::Unknown("an earlier commit's outcome is unknown; settle first".to_owned()));
        }
        if self.left_behind || self.group.consumer.assignment_lost() {
            return Some(CommitOutcome::Fenced("the group went on without this member".to_owned()));
        }
        None
    }
}
