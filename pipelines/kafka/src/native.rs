//! The calls that the safe wrapper lacks. The only place with `unsafe`.
//!
//! * Its `commit_transaction` flushes in steps of 100 ms first, which makes every commit take 100 ms. The raw call flushes by itself
//!   and waits on a condition variable.
//! * Its accessor of an offset's metadata panics where the bytes are not UTF-8; anybody with access to the group can write such.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// What librdkafka says about a failed commit.
#[derive(Debug)]
pub(crate) struct CommitError {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
    pub(crate) fatal: bool,
    pub(crate) retriable: bool,
    pub(crate) requires_abort: bool,
}

/// Flushes and commits the open transaction. A retriable error (a timeout) may be answered with the same call again.
pub(crate) fn commit_transaction<C: ProducerContext>(
    producer: &BaseProducer<C>,
    timeout: Duration,
) -> Result<(), CommitError> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `producer` is borrowed for the whole call, so its native client is alive; librdkafka is thread-safe. The returned
    // error is null or owned by us; it is read before it is destroyed, exactly once, and its string is copied.
    unsafe {
        let error = bindings::rd_kafka_commit_transaction(producer.client().native_ptr(), timeout_ms);
        if error.is_null() {
            return Ok(());
        }
        let failed = CommitError {
            code: bindings::rd_kafka_error_code(error).into(),
            text: CStr::from_ptr(bindings::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            fatal: bindings::rd_kafka_error_is_fatal(error) != 0,
            retriable: bindings::rd_kafka_error_is_retriable(error) != 0,
            requires_abort: bindings::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        bindings::rd_kafka_error_destroy(error);
        Err(failed)
    }
}

/// The metadata of the list's entry at `index`, with bytes that are not UTF-8 replaced; empty where there is none.
pub(crate) fn offset_metadata(list: &TopicPartitionList, index: usize) -> String {
    if index >= list.count() {
        return String::new();
    }
    // SAFETY: `list` owns a valid native list for as long as it is borrowed and has more than `index` elements. An element's
    // metadata is null or points to `metadata_size` bytes that live as long as the list; they are copied here.
    unsafe {
        let element = &*(*list.ptr()).elems.add(index);
        if element.metadata.is_null() || element.metadata_size == 0 {
            return String::new();
        }
        let bytes = std::slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size);
        String::from_utf8_lossy(bytes).into_owned()
    }
}
