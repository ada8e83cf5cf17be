//! A source's state on its way: what is encoded is read back, and what is damaged is refused.

use proptest::prelude::*;

use super::codec::{STATE_BYTES_MAX, VERSION, decode, encode};
use super::{Source, on_event};
use crate::core::{EventKind, StateError};
use crate::sessions::{Changes, Rules};
use crate::testing::{MINUTE_MS, SOURCE, Told, context, events};

fn source_of(told: &[Told], rules: &Rules) -> Source {
    let mut source = Source::new(SOURCE);
    for told in told {
        let event = told.event();
        let kind = EventKind::of(event.event_type);
        let cx = context(1, i64::MIN, event.event_time, event.event_id);
        on_event::apply(&mut source, SOURCE, &event, kind, rules, &cx, &mut Changes::default());
    }
    source
}

fn rules(mode: usize) -> Rules {
    let rules = Rules::of(&crate::site::SiteConfig::default());
    Rules { by_tracker: mode == 1, by_campaign: mode == 2, ..rules }
}

proptest! {
    #[test]
    fn a_state_is_read_back(told in events(40), mode in 0..3usize) {
        let mut source = source_of(&told, &rules(mode));
        // As if they had been freed before, too.
        source.fold(&source.sessions.list.clone());
        let mut state = Vec::new();
        encode(&source, &mut state);
        let read = decode(SOURCE, VERSION, &state).unwrap();
        prop_assert_eq!(read.sessions, source.sessions);
        prop_assert_eq!(read.visits, source.visits);
        prop_assert_eq!(read.purchases, source.purchases);
    }

    #[test]
    fn a_damaged_state_is_an_error_and_no_panic(told in events(10), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut state = Vec::new();
        encode(&source_of(&told, &rules(0)), &mut state);
        let at = at.index(state.len());
        state[at] ^= flip;
        let _ = decode(SOURCE, VERSION, &state);
        prop_assert!(decode(SOURCE, VERSION, &state[..at.min(state.len() - 1)]).is_err() || at == 0);
    }
}

#[test]
fn an_unknown_version_is_refused_and_an_empty_state_is_not() {
    assert!(matches!(decode(SOURCE, VERSION + 1, &[0]), Err(StateError::Version { .. })));
    assert!(decode(SOURCE, VERSION + 1, &[]).unwrap().is_empty());
    let mut huge = Vec::new();
    millstream_schemas::avro::write::long(&mut huge, i64::MAX);
    assert!(matches!(decode(SOURCE, VERSION, &huge), Err(StateError::TooMany { .. })));
}

#[test]
fn a_state_too_large_for_a_record_leaves_out_the_oldest() {
    let text = "x".repeat(2_000);
    let told: Vec<Told> = (0..500)
        .map(|n| Told {
            id: format!("e{n:04}"),
            kind: "page_view",
            time_ms: n * 10 * MINUTE_MS,
            consent: 15,
            page: Some(format!("{text}{n}")),
            referrer: Some(text.clone()),
            ..Told::default()
        })
        .collect();
    let source = source_of(&told, &Rules { gap_ms: MINUTE_MS, ..rules(2) });
    let mut state = Vec::new();
    encode(&source, &mut state);
    assert!(state.len() < STATE_BYTES_MAX + 10_000);
    let read = decode(SOURCE, VERSION, &state);
    // As many as the limit of sessions allows; here the source was never trimmed.
    assert!(
        matches!(read, Err(StateError::TooMany { what: "sessions", .. })) || read.unwrap().sessions.single.is_none()
    );
}
