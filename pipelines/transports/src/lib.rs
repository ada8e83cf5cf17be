//! The log behind one narrow interface: partitioned append, read-committed poll, atomic commit of outputs and input offsets,
//! and generations that fence.
//!
//! Three transports implement [`Transport`] and pass one conformance suite ([`conformance`]): Apache Kafka (crate
//! `millstream-kafka`), the durable single-process log ([`embedded`]) and the in-memory log that loses what was not synced
//! ([`memory`]), on which simulation runs.
//!
//! What a caller may rely on, on every transport:
//!
//! * Offsets rise within a partition and have gaps (transaction markers). "Caught up" is what [`Member::at_end`] says, never
//!   "last offset + 1".
//! * A poll returns committed records only, up to the last stable offset.
//! * A commit's outcome can be unknown ([`CommitOutcome::Unknown`]); [`Member::settle`] finds it out.
//! * Acknowledged means durable.

pub mod batch;
mod buffer;
pub mod conformance;
pub mod embedded;
pub mod interface;
pub mod local;
pub mod memory;
mod packed;
pub mod partitioner;
mod record_hash;
mod walk;

pub use batch::{Batch, RecordRef};
pub use interface::*;
pub use local::{Clock, Fault, Faults, LocalOptions};
pub use packed::{Packed, PackedMark, PackedRecord};
pub use partitioner::partition_for;
pub use record_hash::record_hash;
pub use walk::Walk;
