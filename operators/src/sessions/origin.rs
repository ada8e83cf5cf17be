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
    /// Where each text ends in `packed`, with [`ABSENT`] where there is none; it begins where the one before ends.
    ends: [u16; TEXTS],
    /// The texts, one after the other.
    packed: Box<str>,
}

/// There is no such text. All texts together are shorter than this: [`TEXTS`] of at most [`ADDRESS_BYTES`].
const ABSENT: u16 = 0x8000;
const _: () = assert!(TEXTS * ADDRESS_BYTES < ABSENT as usize);

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

    /// Made of its texts, in the order of [`Text`]; each is clipped at [`ADDRESS_BYTES`].
    pub fn pack(order: EventOrder, texts: [Option<&str>; TEXTS]) -> Self {
        let texts = texts.map(|text| text.map(|text| clip(text, ADDRESS_BYTES)));
        let bytes: usize = texts.iter().flatten().map(|text| text.len()).sum();
        let (mut packed, mut ends) = (String::with_capacity(bytes), [0; TEXTS]);
        for (text, end) in texts.into_iter().zip(&mut ends) {
            packed.push_str(text.unwrap_or_default());
            // Below ABSENT.
            *end = packed.len() as u16 | if text.is_some() { 0 } else { ABSENT };
        }
        Self { order, ends, packed: packed.into_boxed_str() }
    }

    /// One of the texts.
    pub fn text(&self, text: Text) -> Option<&str> {
        self.at(text as usize)
    }

    #[inline]
    fn at(&self, place: usize) -> Option<&str> {
        let end = self.ends[place];
        if end & ABSENT != 0 {
            return None;
        }
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] & !ABSENT);
        self.packed.get(usize::from(start)..usize::from(end))
    }

    /// All texts, in the order of [`Text`].
    pub fn texts(&self) -> [Option<&str>; TEXTS] {
        std::array::from_fn(|place| self.at(place))
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
