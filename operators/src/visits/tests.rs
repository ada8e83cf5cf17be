//! However sessions are folded, in whatever order and at whatever time, the summary is the same.

use proptest::prelude::*;

use super::Visits;
use crate::core::{EventKind, EventOrder};
use crate::sessions::{Seen, Session};
use crate::testing::{SOURCE, events};

fn sessions() -> impl Strategy<Value = Vec<Session>> {
    prop::collection::vec(events(6), 1..12).prop_map(|all| {
        let session = |told: &Vec<crate::testing::Told>| {
            let seen = |told: &crate::testing::Told| -> Session {
                let event = told.event();
                let order = EventOrder::new(event.event_time, event.sequence, event.event_id);
                let kind = EventKind::of(event.event_type);
                Session::of(&Seen { event: &event, order, kind, source: SOURCE }, false)
            };
            let mut whole = seen(&told[0]);
            for told in &told[1..] {
                whole.absorb(&seen(told));
            }
            whole
        };
        all.iter().map(session).collect()
    })
}

fn fold<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> Visits {
    let mut visits = Visits::default();
    for session in sessions {
        visits.add(session);
    }
    visits
}

proptest! {
    #[test]
    fn the_order_of_folding_and_where_it_is_cut_do_not_show(sessions in sessions(), cut in 0..12usize) {
        let forward = fold(&sessions);
        prop_assert_eq!(forward, fold(sessions.iter().rev()));
        let cut = cut.min(sessions.len());
        let (mut some, others) = (fold(&sessions[cut..]), fold(&sessions[..cut]));
        some.absorb(&others);
        prop_assert_eq!(forward, some);
    }

    /// Against the sessions themselves, each figure by the plain reading of its name.
    #[test]
    fn agrees_with_a_naive_reading(sessions in sessions()) {
        let visits = fold(&sessions);
        prop_assert_eq!(visits.sessions as usize, sessions.len());
        prop_assert_eq!(i64::from(visits.page_views), sessions.iter().map(Session::page_views).sum::<i64>());
        prop_assert_eq!(i64::from(visits.engaged_ms), sessions.iter().map(|s| s.engaged_ms).sum::<i64>());
        prop_assert_eq!(Some(visits.first_seen_ms), sessions.iter().map(|s| s.first.order.time_ms).min());
        prop_assert_eq!(Some(visits.last_seen_ms), sessions.iter().map(|s| s.last.time_ms).max());
        prop_assert_eq!(visits.is_bot(), sessions.iter().any(|s| s.is_bot));
        let consent = sessions.iter().fold(15, |bits, session| bits & i32::from(session.consent));
        prop_assert_eq!(visits.consent(), consent);
        let channel = |session: &Session| {
            let origin = session.channel.as_ref();
            origin.and_then(|o| o.text(crate::sessions::origin::Text::Channel)).unwrap_or("none").to_owned()
        };
        let latest = sessions.iter().filter(|s| s.last.time_ms == visits.last_seen_ms);
        prop_assert!(latest.map(channel).any(|channel| channel == visits.last_channel()));
        let first = sessions.iter().filter(|s| s.first.order.time_ms == visits.first_seen_ms);
        prop_assert!(first.map(channel).any(|channel| channel == visits.first_channel()));
        let mean = sessions.iter().map(|s| f64::from(crate::engagement::hundredths(s))).sum::<f64>();
        prop_assert!((visits.engagement_score() - mean / sessions.len() as f64 / 100.0).abs() < 1e-9);
    }
}

#[test]
fn nothing_is_nothing() {
    let visits = Visits::default();
    assert!(visits.is_empty() && visits.country().is_none() && !visits.is_bot());
    assert_eq!((visits.engagement_score(), visits.first_channel(), visits.consent()), (0.0, "none", 15));
}
