//! Deliveries as requests of the native batch endpoint.

use crate::delivery::Delivery;
use crate::json::iso;

/// One request: a line of a file of requests, or the body of one POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When its last event arrives, milliseconds since the epoch.
    pub arrives_ms: i64,
    /// How many events it has.
    pub events: usize,
    /// Its JSON, without a line break; of bad input that is no JSON, whatever bytes it has.
    pub body: Vec<u8>,
}

/// Gathers deliveries into requests. Events whose senders' clocks differ, and input that is no JSON, do not share one.
#[derive(Debug)]
pub struct RequestWriter {
    max_events: usize,
    events: Vec<u8>,
    count: usize,
    /// Of its first and of its last event.
    first_ms: i64,
    arrives_ms: i64,
    clock_off_ms: i64,
}

/// Clocks this near count as one.
const CLOCK_TOLERANCE_MS: i64 = 2_000;
/// A request waits no longer for more events.
const SPAN_MS: i64 = 30_000;

impl RequestWriter {
    /// Requests of at most `max_events` events.
    pub fn new(max_events: usize) -> Self {
        Self {
            max_events: max_events.max(1),
            events: Vec::new(),
            count: 0,
            first_ms: 0,
            arrives_ms: 0,
            clock_off_ms: 0,
        }
    }

    /// Adds a delivery and passes on every request that is complete.
    pub fn push<E>(&mut self, delivery: &Delivery, send: &mut impl FnMut(Request) -> Result<(), E>) -> Result<(), E> {
        let clock_off_ms = delivery.sent_at_ms - delivery.arrives_ms;
        let fits = delivery.well_formed
            && self.count < self.max_events
            && (clock_off_ms - self.clock_off_ms).abs() <= CLOCK_TOLERANCE_MS
            && delivery.arrives_ms - self.first_ms <= SPAN_MS;
        if !fits {
            self.finish(send)?;
        }
        if !self.events.is_empty() {
            self.events.push(b',');
        }
        self.events.extend_from_slice(&delivery.json);
        if self.count == 0 {
            self.clock_off_ms = clock_off_ms;
            self.first_ms = delivery.arrives_ms;
        }
        self.count += 1;
        self.arrives_ms = delivery.arrives_ms;
        if !delivery.well_formed {
            self.finish(send)?;
        }
        Ok(())
    }

    /// Passes on what is left.
    pub fn finish<E>(&mut self, send: &mut impl FnMut(Request) -> Result<(), E>) -> Result<(), E> {
        if self.count == 0 {
            return Ok(());
        }
        let sent_at = iso(self.arrives_ms + self.clock_off_ms);
        let mut body = format!("{{\"sent_at\":\"{sent_at}\",\"events\":[").into_bytes();
        body.append(&mut self.events);
        body.extend_from_slice(b"]}");
        let request = Request { arrives_ms: self.arrives_ms, events: self.count, body };
        self.count = 0;
        send(request)
    }
}

/// Passes all deliveries on as requests of at most `max_events` events: to a file, a line each, or to a collector. Gives the number of
/// events, or the first error of `send`.
pub fn write_requests<E>(
    deliveries: impl IntoIterator<Item = Delivery>,
    max_events: usize,
    mut send: impl FnMut(Request) -> Result<(), E>,
) -> Result<u64, E> {
    let mut writer = RequestWriter::new(max_events);
    let mut count = 0;
    for delivery in deliveries {
        writer.push(&delivery, &mut send)?;
        count += 1;
    }
    writer.finish(&mut send)?;
    Ok(count)
}
