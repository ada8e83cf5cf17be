//! What is written for an accepted event, and where.
//!
//! In order: a marker into the old and the new person's partition where the source's person changed, the event into its person's
//! partition, and an entry into the order's partition where it is an order or refund. What becomes known of a source goes to
//! `identity`.

use millstream_runtime::Outputs;
use millstream_schemas::{Event, Id, Identity, OrderEntry, SourceMoved, Watermark};
use millstream_transports::{RecordRef, partition_for};

use crate::factory::{OUT_EVENTS, OUT_IDENTITY, Shared};
use crate::identity::{Assignment, Change};

/// Writes to the stage's outputs.
pub struct Emitter<'a, 'o> {
    /// Settings.
    pub shared: &'a Shared,
    /// The input record that causes what is written.
    pub record: RecordRef<'a>,
    /// Where to.
    pub out: &'o mut Outputs,
}

impl Emitter<'_, '_> {
    fn write_event_record(&mut self, key: Id, timestamp_ms: i64, schema: u32, write: impl FnOnce(u32, &mut Vec<u8>)) {
        let key = key.0.to_be_bytes();
        let partition = partition_for(&key, self.shared.config.topics.events.partitions);
        let schema_id = self.shared.config.schema_ids.to_wire(schema);
        self.out.push(OUT_EVENTS, partition, timestamp_ms.max(0), &key, |bytes| write(schema_id, bytes));
    }

    /// The marker that a source leaves its old person: into that person's partition, where it ends the source, and into the new
    /// person's, where the source's events wait from here on for its state. Once, where both are one.
    pub fn source_moved(&mut self, event: &Event<'_>, assignment: &Assignment<'_>) {
        let Change::Identified { from } = assignment.change else { return };
        let moved = SourceMoved {
            site: event.site,
            source: assignment.source,
            from_person: from,
            to_person: assignment.person,
            user_id: assignment.user.as_deref(),
            event_time: event.event_time,
            source_event: event.event_id,
        };
        self.write_event_record(from, event.received_at, SourceMoved::ID, |id, bytes| moved.encode_framed(id, bytes));
        let partitions = self.shared.config.topics.events.partitions;
        let place = |person: Id| partition_for(&person.0.to_be_bytes(), partitions);
        if place(from) != place(assignment.person) {
            let to = assignment.person;
            self.write_event_record(to, event.received_at, SourceMoved::ID, |id, bytes| moved.encode_framed(id, bytes));
        }
    }

    /// The event. Without a person it goes by its order or refund, else by its own id.
    pub fn event(&mut self, event: &Event<'_>) {
        let key = event
            .person
            .or_else(|| order_key(event))
            .unwrap_or_else(|| Id::of(&[event.site.as_bytes(), event.event_id.as_bytes()]));
        self.write_event_record(key, event.received_at, Event::ID, |id, bytes| event.encode_framed(id, bytes));
    }

    /// The entry of a purchase, offline order, refund, or touch that names an order; takes the event's lines.
    pub fn order_entry(&mut self, event: &mut Event<'_>, kind: &str) {
        let Some(key) = order_key(event) else { return };
        let entry = OrderEntry {
            site: event.site,
            kind,
            order_id: event.order_id,
            refund_id: event.refund_id,
            event_id: event.event_id,
            event_time: event.event_time,
            sequence: event.sequence,
            consent: event.consent,
            is_bot: event.is_bot,
            source: event.source,
            person: event.person,
            person_user_id: event.person_user_id,
            hand_overs: 0,
            currency: event.currency,
            amount_minor: event.amount_minor,
            tax_minor: event.tax_minor,
            shipping_minor: event.shipping_minor,
            discount_minor: event.discount_minor,
            coupon: event.coupon,
            lines: std::mem::take(&mut event.lines),
            channel: (kind == "touch").then_some(event.channel),
            campaign: event.utm_campaign.filter(|_| kind == "touch"),
        };
        self.write_event_record(key, event.received_at, OrderEntry::ID, |id, bytes| entry.encode_framed(id, bytes));
    }

    /// What became known of a source.
    pub fn identity(&mut self, event: &Event<'_>, assignment: &Assignment<'_>) {
        if let Some(refusal) = &assignment.refusal {
            self.identity_row(event, refusal.source, "refused", Some(&refusal.user), refusal.person, None);
        }
        let (change, previous) = match assignment.change {
            Change::None => return,
            Change::Created => ("created", None),
            Change::CreatedIdentified => ("identified", None),
            Change::Identified { from } => ("identified", Some(from)),
        };
        let user = assignment.user.as_deref();
        self.identity_row(event, assignment.source, change, user, assignment.person, previous);
    }

    fn identity_row(
        &mut self,
        event: &Event<'_>,
        source: Id,
        change: &str,
        user_id: Option<&str>,
        person: Id,
        previous_person: Option<Id>,
    ) {
        let row = Identity {
            site: event.site,
            source,
            revision: event.revision,
            retracted: false,
            event_time: event.event_time,
            source_event: event.event_id,
            change,
            device_id: event.device_id,
            user_id,
            person,
            previous_person,
        };
        let partition = self.record.partition % self.shared.config.topics.identity.partitions.max(1);
        let schema_id = self.shared.config.schema_ids.to_wire(Identity::ID);
        let key = source.0.to_be_bytes();
        self.out
            .push(OUT_IDENTITY, partition, event.received_at.max(0), &key, |bytes| row.encode_framed(schema_id, bytes));
    }

    /// Announces a watermark in every partition of `events`.
    pub fn watermark(&mut self, upstream: u32, time_ms: i64) {
        let topics = &self.shared.config.topics;
        let watermark = Watermark {
            upstream: i32::try_from(upstream).unwrap_or(i32::MAX),
            upstreams: i32::try_from(topics.collected.partitions).unwrap_or(i32::MAX),
            time: time_ms,
        };
        let schema_id = self.shared.config.schema_ids.to_wire(Watermark::ID);
        for partition in 0..topics.events.partitions {
            self.out
                .push(OUT_EVENTS, partition, time_ms.max(0), &[], |bytes| watermark.encode_framed(schema_id, bytes));
        }
    }
}

/// Where orders are unique: the order, or the refund where it names none.
pub fn order_key(event: &Event<'_>) -> Option<Id> {
    let id = event.order_id.or(event.refund_id)?;
    Some(Id::of(&[event.site.as_bytes(), id.as_bytes()]))
}
