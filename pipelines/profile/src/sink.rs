//! Encodes what operators emit and routes it: results into the input's partition, what is for a person or an order into theirs.

use millstream_operators::core::Sink;
use millstream_operators::core::context::Rejection;
use millstream_operators::orders::route_id;
use millstream_runtime::Outputs;
use millstream_schemas::{
    Attribution, Churn, Clv, Engagement, FeedbackWatermark, HandOver, Id, Order, OrderEntry, OrderFact, OrderLine,
    Profile, Propensity, Refund, RefundLine, RefundMatch, Rejected, Session,
};
use millstream_transports::{RecordRef, partition_for};
use smallvec::SmallVec;

use crate::config::ProfileConfig;
use crate::factory::{
    OUT_ATTRIBUTION, OUT_CHURN, OUT_CLV, OUT_ENGAGEMENT, OUT_EVENTS, OUT_ORDER_LINES, OUT_ORDERS, OUT_PROFILES,
    OUT_PROFILES_LATEST, OUT_PROPENSITY, OUT_REFUND_LINES, OUT_REFUND_MATCHES, OUT_REFUNDS, OUT_REJECTED, OUT_SESSIONS,
};
use crate::feedback::Announcement;

/// Where the operators' results go while one input record is processed.
#[derive(Debug)]
pub struct OutputSink<'a, 'o> {
    /// Settings.
    pub config: &'a ProfileConfig,
    /// The input record that causes what is written.
    pub record: RecordRef<'a>,
    /// Where to.
    pub out: &'o mut Outputs,
}

/// A readable key, on the stack as long as it is no longer than most are.
type Key = SmallVec<[u8; 96]>;

fn hex_key(site: &str, id: Id) -> Key {
    let mut key = Key::from_slice(site.as_bytes());
    // Separator and digits in one go.
    let mut tail = [b'/'; 33];
    tail[1..].copy_from_slice(&id.to_hex());
    key.extend_from_slice(&tail);
    key
}

fn text_key(site: &str, id: &str, line_no: Option<i32>) -> Key {
    let mut key = Key::from_slice(site.as_bytes());
    key.push(b'/');
    key.extend_from_slice(id.as_bytes());
    if let Some(line_no) = line_no {
        key.push(b'/');
        key.extend_from_slice(line_no.to_string().as_bytes());
    }
    key
}

impl OutputSink<'_, '_> {
    fn push(&mut self, topic: u16, key: &[u8], schema: u32, write: impl FnOnce(u32, &mut Vec<u8>)) {
        let schema_id = self.config.schema_ids.to_wire(schema);
        self.out.push(topic, self.record.partition, self.record.timestamp_ms, key, |bytes| write(schema_id, bytes));
    }

    fn send_to_events(&mut self, key: Id, schema: u32, write: impl FnOnce(u32, &mut Vec<u8>)) {
        let key = key.0.to_be_bytes();
        let partition = partition_for(&key, self.config.topics.events.partitions);
        let schema_id = self.config.schema_ids.to_wire(schema);
        self.out.push(OUT_EVENTS, partition, self.record.timestamp_ms, &key, |bytes| write(schema_id, bytes));
    }
}

impl OutputSink<'_, '_> {
    /// Announces in every partition how far this one is with what it sends to others.
    pub(crate) fn feedback_watermark(&mut self, upstream: u32, due: &Announcement) {
        let partitions = self.config.topics.events.partitions;
        let watermark = FeedbackWatermark {
            upstream: i32::try_from(upstream).unwrap_or(i32::MAX),
            upstreams: i32::try_from(partitions).unwrap_or(i32::MAX),
            round: due.round,
            time: due.time_ms,
        };
        let schema_id = self.config.schema_ids.to_wire(FeedbackWatermark::ID);
        for partition in 0..partitions {
            self.out.push(OUT_EVENTS, partition, self.record.timestamp_ms, &[], |bytes| {
                watermark.encode_framed(schema_id, bytes);
            });
        }
    }
}

impl Sink for OutputSink<'_, '_> {
    fn session(&mut self, record: &Session<'_>) {
        let key = hex_key(record.site, record.session_id);
        self.push(OUT_SESSIONS, &key, Session::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn propensity(&mut self, record: &Propensity<'_>) {
        let key = hex_key(record.site, record.session_id);
        self.push(OUT_PROPENSITY, &key, Propensity::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn order(&mut self, record: &Order<'_>) {
        let key = text_key(record.site, record.order_id, None);
        self.push(OUT_ORDERS, &key, Order::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn order_line(&mut self, record: &OrderLine<'_>) {
        let key = text_key(record.site, record.order_id, Some(record.line_no));
        self.push(OUT_ORDER_LINES, &key, OrderLine::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn refund(&mut self, record: &Refund<'_>) {
        let key = text_key(record.site, record.refund_id, None);
        self.push(OUT_REFUNDS, &key, Refund::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn refund_line(&mut self, record: &RefundLine<'_>) {
        let key = text_key(record.site, record.refund_id, Some(record.line_no));
        self.push(OUT_REFUND_LINES, &key, RefundLine::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn refund_match(&mut self, record: &RefundMatch<'_>) {
        let key = text_key(record.site, record.refund_id, Some(record.line_no));
        self.push(OUT_REFUND_MATCHES, &key, RefundMatch::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn attribution(&mut self, record: &Attribution<'_>) {
        let mut key = text_key(record.site, record.order_id, None);
        key.push(b'/');
        key.extend_from_slice(record.model.as_bytes());
        key.push(b'/');
        key.extend_from_slice(&record.touch_id.to_hex());
        self.push(OUT_ATTRIBUTION, &key, Attribution::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn churn(&mut self, record: &Churn<'_>) {
        let key = hex_key(record.site, record.person);
        self.push(OUT_CHURN, &key, Churn::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn clv(&mut self, record: &Clv<'_>) {
        let key = hex_key(record.site, record.person);
        self.push(OUT_CLV, &key, Clv::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn engagement(&mut self, record: &Engagement<'_>) {
        let key = hex_key(record.site, record.session_id);
        self.push(OUT_ENGAGEMENT, &key, Engagement::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn profile(&mut self, record: &Profile<'_>) {
        let key = hex_key(record.site, record.person);
        for topic in [OUT_PROFILES, OUT_PROFILES_LATEST] {
            self.push(topic, &key, Profile::ID, |id, bytes| record.encode_framed(id, bytes));
        }
        if record.retracted {
            // Nothing at all: compaction takes it for a tombstone.
            let RecordRef { partition, timestamp_ms, .. } = self.record;
            self.out.push(OUT_PROFILES_LATEST, partition, timestamp_ms, &key, |_| {});
        }
    }

    fn hand_over(&mut self, record: &HandOver<'_>) {
        self.send_to_events(record.to_person, HandOver::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn order_entry(&mut self, record: &OrderEntry<'_>) {
        // An entry without either id cannot be: purchases are noted by one.
        let key = route_id(record.site, record.order_id, record.refund_id).unwrap_or_default();
        self.send_to_events(key, OrderEntry::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn order_fact(&mut self, record: &OrderFact<'_>) {
        self.send_to_events(record.person, OrderFact::ID, |id, bytes| record.encode_framed(id, bytes));
    }

    fn reject(&mut self, rejection: &Rejection<'_>) {
        reject(self.config, self.record, rejection, self.out);
    }
}

/// Writes the record to `events.rejected`, with all its bytes.
pub fn reject(config: &ProfileConfig, record: RecordRef<'_>, rejection: &Rejection<'_>, out: &mut Outputs) {
    let topic = config.topics.events.name.as_str();
    let offset = i64::try_from(record.offset).unwrap_or(i64::MAX);
    let rejection_id = format!("{topic}:{}:{offset}", record.partition);
    let rejected = Rejected {
        rejection_id: &rejection_id,
        revision: offset,
        retracted: false,
        event_time: record.timestamp_ms,
        site: rejection.site,
        stage: "profile",
        reason: rejection.reason.as_str(),
        field: rejection.field,
        detail: rejection.detail,
        topic: Some(topic),
        partition: i32::try_from(record.partition).ok(),
        offset: Some(offset),
        data_set: None,
        file: None,
        line: None,
        event_id: rejection.event_id,
        payload: record.value,
    };
    let partition = record.partition % config.topics.rejected.partitions.max(1);
    let schema_id = config.schema_ids.to_wire(Rejected::ID);
    out.push(OUT_REJECTED, partition, record.timestamp_ms, rejection_id.as_bytes(), |bytes| {
        rejected.encode_framed(schema_id, bytes);
    });
}
