//! The interface that the three transports share.

use std::time::Duration;

use crate::batch::Batch;
use crate::packed::{Packed, PackedRecord};

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Records older than this many milliseconds may go.
    TimeMs(i64),
    /// Nothing is ever removed (development, embedded default).
    Forever,
    /// The newest record of each key stays.
    Compact,
}

/// A topic as it must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name, with its namespace prefix where there is one.
    pub name: String,
    /// Number of partitions; it can never change (keys would move).
    pub partitions: u32,
    /// How long records are kept.
    pub retention: Retention,
}

/// A partition of one of the topics that a member or reader was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Index into the topics given when the member or reader was opened.
    pub topic: u16,
    /// Partition within the topic.
    pub partition: u32,
}

/// A group's committed position in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: u64,
    /// What the committer noted beside it (for example a sink's intent); empty where nothing was.
    pub metadata: String,
}

/// One offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// Which partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: u64,
    /// A note kept beside the offset, at most 3,000 bytes; usually empty.
    pub metadata: String,
}

/// One record to append.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Index into the topics that the producer or member was opened with (`outputs` for a member).
    pub topic: u16,
    /// Partition within the topic; the caller has partitioned already.
    pub partition: u32,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key bytes; may be empty.
    pub key: &'a [u8],
    /// Value bytes; empty is a tombstone.
    pub value: &'a [u8],
}

/// What ended well or badly at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Outputs and offsets are durable and visible together.
    Committed,
    /// Nothing of the transaction is visible or ever will be: undo the state, rewind the input.
    Aborted(String),
    /// A newer generation owns what we held: drop the state, do not touch the log, rejoin.
    Fenced(String),
    /// Nobody knows. [`Member::settle`], then compare [`Member::committed`] with what was to be committed.
    Unknown(String),
}

/// A change of what a member owns, delivered by [`Member::poll`] before any record of the new assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The partitions newly owned. Reading starts where [`Member::seek`] says; nothing is delivered before a seek.
    Assigned(Vec<TopicPartition>),
    /// The partitions no longer owned. The open transaction has been aborted. With `lost`, another may already own them.
    Revoked {
        /// Which ones.
        partitions: Vec<TopicPartition>,
        /// True where ownership was lost (session timed out) and not handed back in order.
        lost: bool,
    },
}

/// Why a transport could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The topic does not exist; `millstream topics` makes it.
    #[error("topic {0} does not exist; create it with `millstream topics`")]
    UnknownTopic(String),
    /// The partition count differs from the one configured. Keys would move.
    #[error(
        "topic {topic} has {found} partitions, configuration says {wanted}; a count cannot be changed, because keys would move: set `partitions` to what the log has"
    )]
    PartitionCount {
        /// Topic name.
        topic: String,
        /// What the log has.
        found: u32,
        /// What the configuration wants.
        wanted: u32,
    },
    /// Too much is waiting to be written; try again later (HTTP 429).
    #[error("the log's write queue is full ({queued_bytes} bytes); try again later")]
    QueueFull {
        /// Bytes waiting.
        queued_bytes: usize,
    },
    /// A record exceeds the transport's limit.
    #[error("record of {size_bytes} bytes exceeds the limit of {limit_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The reader's offset is no longer in the log.
    #[error("{topic}[{partition}]: offset {offset} is out of range; the log starts at {earliest}")]
    OffsetOutOfRange {
        /// Topic name.
        topic: String,
        /// Partition.
        partition: u32,
        /// What was asked for.
        offset: u64,
        /// The earliest offset that is still there.
        earliest: u64,
    },
    /// Another member took over; drop everything and rejoin.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The log's bytes are damaged beyond a torn tail. Restore from a copy; nothing is guessed.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The log answers no more in time; worth retrying.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// Anything else, with the transport's own words.
    #[error("{0}")]
    Other(String),
}

/// The result of a transport call.
pub type Result<T> = std::result::Result<T, TransportError>;

/// Called once, when a batch of appends is durable or has failed as a whole. On a thread of the log's own, which writes nothing
/// meanwhile: it must not wait for the log.
pub type Acknowledge = Box<dyn FnOnce(Result<()>) + Send>;

/// How a member joins.
#[derive(Debug, Clone)]
pub struct MemberConfig {
    /// Consumer group.
    pub group: String,
    /// Static member id: the same process coming back within the session timeout keeps its partitions.
    pub instance_id: String,
    /// Topics to consume; [`TopicPartition::topic`] indexes these.
    pub inputs: Vec<String>,
    /// Topics to produce to; [`Append::topic`] indexes these. Empty: the member never sends.
    pub outputs: Vec<String>,
}

/// A log: a set of partitioned topics.
pub trait Transport: Send + Sync {
    /// Creates what is missing. Refuses where a topic exists with another partition count.
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()>;

    /// Partitions of a topic.
    fn partition_count(&self, topic: &str) -> Result<u32>;

    /// What tells a topic from one of the same name that is made anew after it was deleted. A transport that keeps no such
    /// identity gives the name.
    fn topic_id(&self, topic: &str) -> Result<String> {
        Ok(topic.to_owned())
    }

    /// Joins a consumer group, with a transactional producer of its own.
    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>>;

    /// A producer for acknowledged appends outside any transaction (the collector's).
    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>>;

    /// A producer of transactions without input (imports, control). A second one with the same id fences the first.
    fn transactions(&self, transactional_id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>>;

    /// Reads one partition outside any group, committed records only, from `offset` on (0: from the earliest that is left).
    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>>;

    /// The earliest offset that is left of a partition; 0 where nothing has gone. A first record above 0 does not say as much:
    /// offsets have gaps.
    fn earliest(&self, topic: &str, partition: u32) -> Result<u64> {
        // Retention takes whole segments, so that the first record alone never goes.
        let looked = self.reader(topic, partition, 1).and_then(|mut reader| {
            let mut batch = Batch::new();
            reader.poll(Duration::ZERO, &mut batch)
        });
        match looked {
            Ok(()) => Ok(0),
            Err(TransportError::OffsetOutOfRange { earliest, .. }) => Ok(earliest),
            Err(other) => Err(other),
        }
    }

    /// A group's committed position; `None` where it never committed.
    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>>;

    /// Why this log answers nothing any more and must be opened anew, where that is so. A log that only cannot be reached is none such.
    fn ended(&self) -> Option<String> {
        None
    }

    /// Applies retention as of `now_ms`, where that is this process's task: the embedded log's. A broker does it by itself.
    fn apply_retention(&self, _now_ms: i64) -> Result<()> {
        Ok(())
    }
}

/// Consumes its share of a group's partitions and commits outputs and offsets together.
pub trait Member: Send {
    /// Serves rebalances and fetches. Clears `batch`, fills it with records of owned, sought, unpaused partitions, and pushes
    /// ownership changes to `changes`. Where `changes` is not empty, `batch` is empty. Returns after `max_wait` at the latest.
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch, changes: &mut Vec<Change>) -> Result<()>;

    /// Whether everything committed by now has been delivered for this partition.
    fn at_end(&mut self, partition: TopicPartition) -> Result<bool>;

    /// Delivers from `offset` on; 0 means from the earliest record left.
    fn seek(&mut self, partition: TopicPartition, offset: u64) -> Result<()>;

    /// About how many offsets lie between what was delivered here and the end of what may be read, transaction markers counted;
    /// `None` where nothing was sought yet, or the transport cannot say. For metrics: on a real broker it is a request.
    fn backlog(&mut self, _partition: TopicPartition) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The earliest offset still in the log.
    fn earliest(&mut self, partition: TopicPartition) -> Result<u64>;

    /// Stops delivery from a partition; membership goes on.
    fn pause(&mut self, partition: TopicPartition) -> Result<()>;

    /// Ends a pause.
    fn resume(&mut self, partition: TopicPartition) -> Result<()>;

    /// The group's committed position, stable (no transaction pending on it).
    fn committed(&mut self, partition: TopicPartition) -> Result<Option<Committed>>;

    /// Adds a record to the open transaction; opens one where none is.
    fn send(&mut self, append: Append<'_>) -> Result<()>;

    /// Adds packed records of one partition to the open transaction, in their order; opens one where none is. A transport that
    /// keeps records as they are packed takes them over without a copy; another one sends each.
    fn send_packed(&mut self, topic: u16, partition: u32, records: Packed) -> Result<()> {
        for PackedRecord { timestamp_ms, key, value } in records.iter() {
            self.send(Append { topic, partition, timestamp_ms, key, value })?;
        }
        Ok(())
    }

    /// Commits the open transaction (or an empty one) with these input offsets. Offsets of partitions that this member does not
    /// own are refused as [`CommitOutcome::Fenced`].
    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome;

    /// Aborts the open transaction; what was sent in it is never visible.
    fn abort(&mut self) -> Result<()>;

    /// Commits offsets outside any transaction (sinks, with their intents as metadata).
    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome;

    /// After [`CommitOutcome::Unknown`]: settles the transaction, so that [`Member::committed`] tells the truth.
    fn settle(&mut self) -> Result<()>;

    /// Leaves the group in order.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Appends with an acknowledgement each.
pub trait Appender: Send + Sync {
    /// Queues the records as one unit and calls `done` once, when all are durable or the unit has failed. A full queue is refused
    /// at once with [`TransportError::QueueFull`], and then `done` is never called.
    fn append(&self, records: &[Append<'_>], done: Acknowledge) -> Result<()>;

    /// Bytes that are queued and not yet durable.
    fn queued_bytes(&self) -> usize;
}

/// Transactions without input.
pub trait Transactions: Send {
    /// Adds a record to the open transaction; opens one where none is.
    fn send(&mut self, append: Append<'_>) -> Result<()>;
    /// Commits the open transaction.
    fn commit(&mut self) -> CommitOutcome;
    /// Aborts the open transaction.
    fn abort(&mut self) -> Result<()>;
}

/// Reads one partition.
pub trait Reader: Send {
    /// Clears `batch` and fills it with what is there; waits up to `max_wait` where nothing is. All records have topic 0.
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch) -> Result<()>;
    /// Whether everything that was committed when this is called has been delivered.
    fn at_end(&mut self) -> Result<bool>;
}
