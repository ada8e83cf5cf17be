//! The log engine behind the in-memory and the embedded transport.
//!
//! It is no kinder than Kafka, so that what runs on it runs there: every transaction costs each partition it wrote to one offset
//! (Kafka's marker), aborted ones leave a gap too; an open transaction holds back what others append behind its start (last
//! stable offset) until it ends or times out; groups have static members, sticky co-partitioned assignment and handovers that a
//! member hears of in its poll; a newer holder of a transactional id or an instance id fences the older.
//!
//! * `frame`: how a record lies in memory and on disk · `segment`, `partition`: offsets, bytes, what may be read
//! * [`store`]: what keeps the bytes · `writer`: group commit
//! * `assignment`, `group`, `coordinator`: who owns and who may commit
//! * `producer`, `member`, `appender`, `reader`: the interface's parts · `faults`: what goes wrong on request
//! * `core`, `log`: what all handles share, and the handle

mod appender;
mod assignment;
mod coordinator;
mod core;
mod faults;
pub(crate) mod frame;
mod group;
mod log;
mod member;
mod options;
mod partition;
mod producer;
mod reader;
pub(crate) mod segment;
pub mod store;
mod writer;

pub use faults::{Fault, Faults};
pub use frame::Chunk;
pub use log::LocalLog;
pub use options::{Clock, LocalOptions};
pub use partition::PartitionImage;

pub(crate) use writer::WriteMode;
