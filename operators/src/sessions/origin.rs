//! What a session remembers of one of its events: the first, the first with a page, the first with a channel.

use millstream_schemas::Event;

use crate::core::EventOrder;
use crate::core::limits::{ADDRESS_BYTES, TEXT_BYTES, clip};

/// The texts kept, in the order they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Text {
    /// The tracker's device id.
    DeviceId,
    /// The tracker's session id.
    TrackerSessionId,
    /// Page address.
    Page,
    /// Referrer.
    Referrer,
    /// Channel.
    Channel,
    /// Campaign source.
    UtmSource,
    /// Campaign medium.
    UtmMedium,
    /// Campaign name.
    UtmCampaign,
    /// Device class.
    DeviceClass,
    /// Operating system.
    Os,
    /// Browser.
    Browser,
    /// Country.
    Country,
}

/// Number of texts.
pub const TEXTS: usize = 12;

/// One event's place and its texts, packed into one allocation and shared by every session state that refers to it: a copy for the
/// undo log costs a counter, not bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The event's place.
    pub order: EventOrder,
    /// For each text its length plus one (0: none), two bytes; then its bytes.
    packed: Box<[u8]>,
}

impl Origin {
    /// Remembers `event`.
    pub fn of(event: &Event<'_>, order: EventOrder) -> Self {
        Self::pack(
            order,
            [
                event.device_id.map(|text| clip(text, TEXT_BYTES)),
                event.tracker_session_id.map(|text| clip(text, TEXT_BYTES)),
                event.page_url.map(|text| clip(text, ADDRESS_BYTES)),
                event.page_referrer.map(|text| clip(text, ADDRESS_BYTES)),
                Some(clip(event.channel, TEXT_BYTES)),
                event.utm_source.map(|text| clip(text, TEXT_BYTES)),
                event.utm_medium.map(|text| clip(text, TEXT_BYTES)),
                event.utm_campaign.map(|text| clip(text, TEXT_BYTES)),
                Some(clip(event.device_class, TEXT_BYTES)),
                Some(clip(event.os, TEXT_BYTES)),
                Some(clip(event.browser, TEXT_BYTES)),
                event.country.map(|text| clip(text, TEXT_BYTES)),
            ],
        )
    }

    /// Made of its texts, in the order of [`Text`]; each is clipped at what a length can say.
    pub fn pack(order: EventOrder, texts: [Option<&str>; TEXTS]) -> Self {
        let bytes: usize = texts.iter().flatten().map(|text| text.len()).sum();
        let mut packed = Vec::with_capacity(2 * TEXTS + bytes);
        for text in texts.iter() {
            let Some(text) = text else {
                packed.extend_from_slice(&[0, 0]);
                continue;
            };
            let text = clip(text, ADDRESS_BYTES);
            // At most ADDRESS_BYTES + 1, which two bytes hold.
            packed.extend_from_slice(&(text.len() as u16 + 1).to_le_bytes());
            packed.extend_from_slice(text.as_bytes());
        }
        Self { order, packed: packed.into_boxed_slice() }
    }

    /// One of the texts.
    pub fn text(&self, text: Text) -> Option<&str> {
        self.texts()[text as usize]
    }

    /// All texts, in the order of [`Text`].
    pub fn texts(&self) -> [Option<&str>; TEXTS] {
        let mut texts = [None; TEXTS];
        let mut rest: &[u8] = &self.packed;
        for text in &mut texts {
            let Some((head, tail)) = rest.split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_le_bytes(*head));
            rest = tail;
            if let Some((bytes, tail)) = length.checked_sub(1).and_then(|length| tail.split_at_checked(length)) {
                *text = std::str::from_utf8(bytes).ok();
                rest = tail;
            }
        }
        texts
    }

    /// Bytes held, with those of the counters around them.
    pub fn bytes(&self) -> usize {
        16 + size_of::<Self>() + self.packed.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_read_back(texts in prop::array::uniform12(prop::option::of("\\PC{0,60}"))) {
            let borrowed = texts.each_ref().map(Option::as_deref);
            let origin = Origin::pack(EventOrder::default(), borrowed);
            prop_assert_eq!(origin.texts(), borrowed);
        }
    }
}
