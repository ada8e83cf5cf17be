//! Tasks, epochs, undo and ownership: a step function over clock, storage and transport.
//!
//! A *stage* ([`Stage`]) is a pure state machine for one input partition. A *task* is a stage with its position; a *worker*
//! ([`Worker`]) is a group member that runs the tasks of the partitions it owns, one thread, in epochs: poll, process, produce,
//! offsets into the transaction, commit. An epoch that does not commit is undone, state included.
//!
//! It does not know what the records say; the crates `ingest` and `profile` do.

pub mod clock;
pub mod ledger;
pub mod outputs;
pub mod replayed;
pub mod snapshot;
pub mod stage;
pub mod standby;
mod task;
pub mod worker;

pub use clock::{Clock, SystemClock};
pub use ledger::{FateCount, LedgerBook, LedgerEntry, OutputSum};
pub use outputs::Outputs;
pub use replayed::{ReplayStep, ReplayedTask};
pub use snapshot::{Entries, RestoreError, SnapshotFolder, SnapshotSettings, SnapshotState, SnapshotStore};
pub use stage::{Diversion, Stage, StageFactory, WARM_RECORDS};
pub use standby::{StandbyKeeper, Standbys};
pub use worker::{EpochLimits, Pauses, Step, Worker, WorkerConfig, WorkerError, WorkerStats};
