//! The log interface on Apache Kafka.
//!
//! [`KafkaTransport`] implements [`millstream_transports::Transport`] on librdkafka. What is particular to Kafka, and where it is
//! dealt with:
//!
//! * [`config`]: what an operator configures. Everything that correctness rests on (acks, isolation, offset handling) is set here
//!   and cannot be overridden.
//! * [`member`]: one consumer of a group with one transactional producer (`<group>-<instance id>`). A stale member is fenced by the
//!   group's generation; since the broker does not check who owns a partition, offsets are filtered by our own assignment as well.
//! * [`transactional`]: the producer's life: commits without the 100 ms that flushing costs by default, aborts only after a drain
//!   (an abort with unsent messages is fatal in librdkafka), a new producer of the same id after a fatal error.
//! * [`reader`], [`appender`], [`topics`]: reading outside groups, acknowledged appends, creating topics.
//! * [`check`]: is the cluster reachable, are we let in, and do its settings keep the promises we build on?
//! * [`hanging`]: transactions that the broker forgot to end.
//!
//! A cluster with access control must grant: describe, read and write on the topics; read on the members' groups, describe on the groups
//! `<client id>-reader`, `-inquirer` and `-check`; write on the transactional ids; idempotent writes; for `ensure_topics` and `check`
//! creating topics and describing configurations.

mod admin;
pub mod appender;
pub mod check;
pub mod config;
mod errors;
mod events;
mod group;
pub mod hanging;
mod idle_readers;
pub mod member;
mod native;
pub mod reader;
mod settings;
pub mod topics;
pub mod transactional;
mod transport;

pub use check::{CheckError, CheckReport, Warning};
pub use config::{GroupProtocol, KafkaConfig, Sasl, SaslMechanism, Secret, Security, Tls};
pub use hanging::HangingTransaction;
pub use transport::KafkaTransport;
