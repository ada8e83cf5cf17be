//! Two logs with the same input in another interleaving end in the same current views.

use std::collections::BTreeMap;

use millstream_tests::topology::{CollectedEvent, Topology};
use millstream_tests::views::{View, comparable, current_views};
use proptest::prelude::*;

use crate::scenario::{END_MS, PARTITIONS, happenings, in_order, shuffled};

/// How the workers run beside the input.
#[derive(Debug, Clone)]
struct Pace {
    epoch_max_ms: u64,
    /// After each event: steps of ingest, steps of profile, restart.
    after_event: Vec<(usize, usize, bool)>,
}

fn pace() -> impl Strategy<Value = Pace> {
    let after = (0..3usize, 0..3usize, prop::bool::weighted(0.06));
    (1..30u64, prop::collection::vec(after, 1..12))
        .prop_map(|(epoch_max_ms, after_event)| Pace { epoch_max_ms, after_event })
}

fn run(events: &[CollectedEvent], pace: &Pace) -> BTreeMap<&'static str, View> {
    let mut topology = Topology::new(PARTITIONS, pace.epoch_max_ms);
    for (number, event) in events.iter().enumerate() {
        topology.collect(event);
        let (ingest, profile, restart) = pace.after_event[number % pace.after_event.len()];
        (0..ingest).for_each(|_| _ = topology.step(0));
        (0..profile).for_each(|_| _ = topology.step(1));
        if restart {
            topology.restart();
        }
    }
    topology.tick(END_MS);
    topology.drain();
    current_views(&topology.log, PARTITIONS)
}

fn undisturbed() -> Pace {
    Pace { epoch_max_ms: 20, after_event: vec![(0, 0, false)] }
}

fn assert_converged(
    one: &BTreeMap<&'static str, View>,
    other: &BTreeMap<&'static str, View>,
) -> Result<(), TestCaseError> {
    for (table, view) in one {
        match *table {
            // Addressed by their place in the input.
            "events_rejected" => prop_assert_eq!(view.len(), other[table].len()),
            "events" => prop_assert_eq!(comparable(view, &["event_time"]), comparable(&other[table], &["event_time"])),
            _ => prop_assert_eq!(comparable(view, &[]), comparable(&other[table], &[]), "{}", table),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn pace_slicing_and_restarts_change_nothing(happenings in happenings(60), pace in pace()) {
        let events = in_order(&happenings);
        assert_converged(&run(&events, &undisturbed()), &run(&events, &pace))?;
    }

    #[test]
    fn order_within_the_horizon_changes_nothing(happenings in happenings(60), keys in prop::collection::vec(any::<u64>(), 8), pace in pace()) {
        assert_converged(&run(&in_order(&happenings), &undisturbed()), &run(&shuffled(&happenings, &keys), &pace))?;
    }
}
