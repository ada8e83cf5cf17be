//! The envelope of a batch and of an event: what is needed to route it, nothing else.

use std::borrow::Cow;

use millstream_schemas::input_key::InputIdentity;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{Refusal, Refused};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// A batch: the client's send time, unparsed events.
pub(crate) struct BatchEnvelope<'a> {
    /// As the client gave it (ISO-8601 text or epoch milliseconds), converted by [`crate::events`].
    pub sent_at: Option<&'a RawValue>,
    pub events: Vec<&'a RawValue>,
}

/// Splits a body into its events.
pub(crate) fn batch(body: &[u8]) -> Result<BatchEnvelope<'_>, Refused> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Refused::new(Refusal::InvalidUtf8, format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    let Body { sent_at, events } = serde_json::from_str(text)
        .map_err(|error| Refused::new(Refusal::InvalidJson, format!("expected {{\"sent_at\": …, \"events\": […]}}: {error}")))?;
    Ok(BatchEnvelope { sent_at, events })
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    order_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    device: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    order: Option<Named<'a>>,
    #[serde(borrow)]
    refund: Option<Named<'a>>,
}

/// What routes an event.
#[derive(Debug, Default)]
pub(crate) struct EventEnvelope<'a> {
    pub id: Option<Cow<'a, str>>,
    pub device: Option<Cow<'a, str>>,
    pub user: Option<Cow<'a, str>>,
    pub order: Option<Cow<'a, str>>,
}

impl EventEnvelope<'_> {
    pub fn identity(&self) -> InputIdentity<'_> {
        InputIdentity {
            device: self.device.as_deref(),
            user: self.user.as_deref(),
            order: self.order.as_deref(),
            event: self.id.as_deref(),
        }
    }
}

/// Reads an event's envelope. What is wrong beyond it is for ingest to say, with a dead letter.
pub(crate) fn event(raw: &RawValue) -> Option<EventEnvelope<'_>> {
    let Event { id, device, user, order, refund } = serde_json::from_str(raw.get()).ok()?;
    let order = order.and_then(|order| order.id).or_else(|| refund.and_then(|refund| refund.order_id.or(refund.id)));
    Some(EventEnvelope { id, device, user, order })
}
