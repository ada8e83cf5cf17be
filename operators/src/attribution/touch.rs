//! One touch and its bytes.

use millstream_schemas::{Event, Id, OrderFact, purposes};

use crate::core::EventKind;
use crate::core::limits::clip;
use crate::sessions::Session;
use crate::sessions::origin::Text;
use crate::visits::codes;

/// A text of a touch is kept up to this many bytes: its length is one byte.
pub const TOUCH_TEXT_BYTES: usize = 255;

/// Bytes of a touch with a known channel and without campaign.
pub const TOUCH_BYTES: usize = 24;

const OFFLINE: u8 = 1 << 4;
/// Of the first byte: which campaign texts follow.
const TEXTS: [u8; 3] = [1 << 5, 1 << 6, 1 << 7];
/// Of the second byte: an order's key follows.
const NAMES_ORDER: u8 = 1 << 7;

/// Where a touch took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TouchKind {
    /// A visit to the shop's site.
    Session,
    /// Elsewhere.
    Offline,
}

impl TouchKind {
    /// Its symbol in records.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Offline => "offline",
        }
    }
}

/// One touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch<'a> {
    /// When it began, milliseconds UTC.
    pub at_ms: i64,
    /// The session, or [`offline_touch_id`].
    pub id: Id,
    /// Where.
    pub kind: TouchKind,
    /// Consent purposes.
    pub consent: u8,
    /// [`order_key`] of the only order it can lead to, where it reached the person through that order.
    pub order: Option<u64>,
    /// Channel.
    pub channel: &'a str,
    /// Campaign source, medium and name.
    pub utm: [Option<&'a str>; 3],
}

/// The id of the offline touch that an event tells of.
pub fn offline_touch_id(site: &str, event_id: &str) -> Id {
    Id::of(&[b"touch", site.as_bytes(), event_id.as_bytes()])
}

/// What a touch remembers of the order it names.
pub fn order_key(order_id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(order_id.as_bytes())
}

impl<'a> Touch<'a> {
    /// The touch that a session is; none where no page says where it came from.
    pub fn of_session(session: &'a Session) -> Option<Self> {
        let origin = session.channel.as_ref()?;
        Some(Self {
            at_ms: session.first.order.time_ms,
            id: session.id,
            kind: TouchKind::Session,
            consent: session.consent & purposes::ALL as u8,
            order: None,
            channel: origin.text(Text::Channel).unwrap_or("none"),
            utm: [Text::UtmSource, Text::UtmMedium, Text::UtmCampaign].map(|text| origin.text(text)),
        })
    }

    /// The touch that an event tells of; none where it is no offline touch or lacks the purpose *analytics*.
    pub fn of_event(event: &'a Event<'_>, kind: EventKind) -> Option<Self> {
        (kind == EventKind::OfflineTouch && event.consent & purposes::ANALYTICS != 0).then(|| Self {
            at_ms: event.event_time,
            id: offline_touch_id(event.site, event.event_id),
            kind: TouchKind::Offline,
            // Four purposes fit.
            consent: (event.consent & purposes::ALL) as u8,
            order: None,
            channel: event.channel,
            utm: [event.utm_source, event.utm_medium, event.utm_campaign],
        })
    }

    /// The touch that an order tells of, for that order alone; none of other facts, or without the purpose *analytics*.
    pub fn of_fact(fact: &'a OrderFact<'_>) -> Option<Self> {
        let is_touch = matches!(fact.kind, "touch" | "touch_gone") && fact.consent & purposes::ANALYTICS != 0;
        let order_id = fact.order_id.filter(|_| is_touch)?;
        Some(Self {
            at_ms: fact.event_time,
            id: offline_touch_id(fact.site, fact.event_id),
            kind: TouchKind::Offline,
            // Four purposes fit.
            consent: (fact.consent & purposes::ALL) as u8,
            order: Some(order_key(order_id)),
            channel: fact.channel.unwrap_or("none"),
            utm: [None, None, fact.campaign],
        })
    }

    /// Whether its channel says nothing of where the visit came from.
    pub fn is_direct(&self) -> bool {
        matches!(self.channel, "direct" | "internal" | "none")
    }

    /// Its place among others.
    pub fn place(&self) -> (i64, Id, Option<u64>) {
        (self.at_ms, self.id, self.order)
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut impl Extend<u8>) {
        let mut head = self.consent & purposes::ALL as u8;
        if self.kind == TouchKind::Offline {
            head |= OFFLINE;
        }
        for (bit, _) in TEXTS.iter().zip(&self.utm).filter(|(_, text)| text.is_some()) {
            head |= bit;
        }
        let code = codes::channel_code(self.channel);
        // Codes are below 127.
        let known = (codes::channel(code) == self.channel).then_some(code + 1);
        let channel = known.unwrap_or(0) | if self.order.is_some() { NAMES_ORDER } else { 0 };
        out.extend([head, channel]);
        // 48 bits: to the year 6429. Times outside stay at the limit, as `clamped` does.
        out.extend(clamped(self.at_ms).to_be_bytes().into_iter().skip(2));
        out.extend(self.id.0.to_be_bytes());
        if let Some(order) = self.order {
            out.extend(order.to_be_bytes());
        }
        if known.is_none() {
            encode_text(self.channel, out);
        }
        for text in self.utm.iter().flatten() {
            encode_text(text, out);
        }
    }

    /// Reads the first touch of `bytes`; returns what follows it. `None` where the bytes are no touch.
    pub fn decode(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[head, channel], rest) = bytes.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk::<6>()?;
        let (id, mut rest) = rest.split_first_chunk::<16>()?;
        let &[a, b, c, d, e, f] = time;
        // Shifted up and back, so that the sign follows.
        let at_ms = i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16;
        let mut order = None;
        if channel & NAMES_ORDER != 0 {
            let (key, after) = rest.split_first_chunk()?;
            order = Some(u64::from_be_bytes(*key));
            rest = after;
        }
        let channel = match (channel & !NAMES_ORDER).checked_sub(1) {
            Some(code) => codes::channel(code),
            None => decode_text(&mut rest)?,
        };
        let mut utm = [None; 3];
        for (_, text) in TEXTS.iter().zip(&mut utm).filter(|(bit, _)| head & **bit != 0) {
            *text = Some(decode_text(&mut rest)?);
        }
        let kind = if head & OFFLINE != 0 { TouchKind::Offline } else { TouchKind::Session };
        let consent = head & purposes::ALL as u8;
        Some((Self { at_ms, id: Id(u128::from_be_bytes(*id)), kind, consent, order, channel, utm }, rest))
    }
}

/// A time as a touch can hold it.
pub fn clamped(time_ms: i64) -> i64 {
    const LIMIT: i64 = 1 << 47;
    time_ms.clamp(-LIMIT, LIMIT - 1)
}

fn encode_text(text: &str, out: &mut impl Extend<u8>) {
    let text = clip(text, TOUCH_TEXT_BYTES);
    // Clipped to what a byte can say.
    out.extend([text.len() as u8]);
    out.extend(text.bytes());
}

fn decode_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (&len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}
