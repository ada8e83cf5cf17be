//! The calls that the safe wrapper lacks. The only place with `unsafe`.
//!
//! * Its `commit_transaction` flushes in steps of 100 ms first, which makes every commit take 100 ms. The raw call flushes by itself
//!   and waits on a condition variable.
//! * It does not tell a topic's id, by which one that was made anew under the same name is known.
//! * Its accessor of an offset's metadata panics where the bytes are not UTF-8; anybody with access to the group can write such.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings;
use rdkafka::client::{Client, ClientContext};
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

/// The id that the cluster gave to the topic when it was made, in base 64.
pub(crate) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<String, RDKafkaErrorCode> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let Ok(name) = CString::new(topic) else { return Err(RDKafkaErrorCode::UnknownTopic) };
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    let rk = client.native_ptr();
    // SAFETY: `client` is borrowed for the whole call, so `rk` is alive; librdkafka is thread-safe. `name` outlives the collection,
    // which copies it. Collection, options, queue and event are made here and destroyed here exactly once, after their last use; what
    // is read of the event (descriptions, id, its text) belongs to it and is copied before.
    unsafe {
        let topics = bindings::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let admin = bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = bindings::rd_kafka_AdminOptions_new(rk, admin);
        let mut refused = [0 as c_char; 256];
        // A time that is refused leaves the client's own.
        bindings::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, refused.as_mut_ptr(), refused.len());
        let queue = bindings::rd_kafka_queue_new(rk);
        bindings::rd_kafka_DescribeTopics(rk, topics, options, queue);
        let event = bindings::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1_000));
        let id = if event.is_null() { Err(RDKafkaErrorCode::OperationTimedOut) } else { described(event) };
        if !event.is_null() {
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        bindings::rd_kafka_AdminOptions_destroy(options);
        bindings::rd_kafka_TopicCollection_destroy(topics);
        id
    }
}

/// The id of the only topic that the event describes.
///
/// # Safety
/// `event` is an event of librdkafka that is not destroyed while this runs.
unsafe fn described(event: *mut bindings::rd_kafka_event_t) -> Result<String, RDKafkaErrorCode> {
    use bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as FINE;
    // SAFETY: the caller keeps the event alive; every pointer below is checked before it is read and belongs to the event.
    unsafe {
        let error = bindings::rd_kafka_event_error(event);
        if error != FINE {
            return Err(error.into());
        }
        let result = bindings::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Unknown);
        }
        let mut count = 0;
        let descriptions = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if descriptions.is_null() || count == 0 {
            return Err(RDKafkaErrorCode::UnknownTopic);
        }
        let description = *descriptions;
        let error = bindings::rd_kafka_error_code(bindings::rd_kafka_TopicDescription_error(description));
        if error != FINE {
            return Err(error.into());
        }
        let text = bindings::rd_kafka_Uuid_base64str(bindings::rd_kafka_TopicDescription_topic_id(description));
        if text.is_null() {
            return Err(RDKafkaErrorCode::Unknown);
        }
        Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
