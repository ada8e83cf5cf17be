//! The packed touches: what they hold, what they weigh, and what is not one.

use proptest::prelude::*;

use super::*;
use crate::attribution::touch::{TOUCH_BYTES, TOUCH_TEXT_BYTES};
use crate::core::limits::clip;

#[derive(Debug, Clone)]
struct Made {
    at_ms: i64,
    id: u128,
    is_offline: bool,
    consent: u8,
    order: Option<u64>,
    channel: String,
    utm: [Option<String>; 3],
}

impl Made {
    fn touch(&self) -> Touch<'_> {
        Touch {
            at_ms: self.at_ms,
            id: Id(self.id),
            kind: if self.is_offline { TouchKind::Offline } else { TouchKind::Session },
            consent: self.consent,
            order: self.order,
            channel: clip(&self.channel, TOUCH_TEXT_BYTES),
            utm: self.utm.each_ref().map(|text| text.as_deref().map(|text| clip(text, TOUCH_TEXT_BYTES))),
        }
    }
}

fn made() -> impl Strategy<Value = Made> {
    let channel = prop_oneof![Just("direct".to_owned()), Just("email".to_owned()), "\\PC{0,300}"];
    let utm = prop::array::uniform3(prop::option::of("\\PC{0,300}"));
    let head = (-(1i64 << 47)..1 << 47, 0..40u128, any::<bool>(), 0..16u8, prop::option::of(any::<u64>()));
    (head, channel, utm).prop_map(|((at_ms, id, is_offline, consent, order), channel, utm)| Made {
        at_ms,
        id,
        is_offline,
        consent,
        order,
        channel,
        utm,
    })
}

proptest! {
    #[test]
    fn touches_are_read_back_in_their_order_whatever_was_added_first(
        (made, shuffled) in prop::collection::vec(made(), 0..6)
            .prop_flat_map(|made| (Just(made.clone()), Just(made).prop_shuffle())),
    ) {
        let (mut one, mut other) = (Touches::default(), Touches::default());
        for made in &made {
            one.add(&made.touch());
        }
        for made in &shuffled {
            other.add(&made.touch());
        }
        prop_assert_eq!(&one, &other);
        let mut distinct: Vec<Touch<'_>> = made.iter().map(Made::touch).collect();
        distinct.sort_by_key(Touch::place);
        let places: std::collections::BTreeSet<_> = distinct.iter().map(Touch::place).collect();
        if places.len() == distinct.len() {
            prop_assert_eq!(one.iter().collect::<Vec<_>>(), distinct);
        }
        prop_assert_eq!(Touches::from_bytes(one.as_bytes()).unwrap(), one.clone());
        let mut joined = one.clone();
        joined.combine(&other);
        prop_assert_eq!(joined, one);
    }

    #[test]
    fn other_bytes_are_refused_or_touches_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(touches) = Touches::from_bytes(&bytes) {
            prop_assert!(touches.iter().map(|touch| touch.place()).is_sorted());
        }
    }

    #[test]
    fn what_is_cut_off_is_refused(made in made(), cut in 1usize..20) {
        let mut touches = Touches::default();
        touches.add(&made.touch());
        let bytes = touches.as_bytes();
        prop_assert!(Touches::from_bytes(&bytes[..bytes.len() - cut]).is_err());
    }
}

#[test]
fn what_a_touch_weighs() {
    let mut touches = Touches::default();
    assert_eq!(touches.bytes(), 0);
    for n in 1..=10 {
        touches.add(&touch(n, n as i64, "organic_search"));
        assert_eq!(touches.bytes(), 16 + n as usize * TOUCH_BYTES);
    }
    let mut campaign = touch(11, 11, "paid_search");
    campaign.utm = [Some("google"), Some("cpc"), Some("autumn-2026")];
    touches.add(&campaign);
    assert_eq!(touches.bytes(), 16 + 11 * TOUCH_BYTES + 3 + 6 + 3 + 11);
    assert_eq!(size_of::<Touches>(), 16);
}
