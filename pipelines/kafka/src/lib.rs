//! The log interface on Apache Kafka.
