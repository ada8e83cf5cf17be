//! The two promises, as far as one stage can keep them: the same input gives the same bytes, however it is cut into epochs; and the
//! devices' records interleaved another way end in the same events, markers and entries.

use std::collections::BTreeMap;

use millstream_ingest::Fate;
use millstream_runtime::{Outputs, Stage};
use proptest::prelude::*;
use serde_json::json;

use crate::harness::*;

/// One thing that may come in.
#[derive(Debug, Clone)]
pub enum Step {
    Event { device: usize, kind: usize, user: Option<usize>, id: u16, late_ms: i64, consent: Option<bool> },
    Broken(Vec<u8>),
    NoId { device: usize },
    Tick,
    Settings { refuse: bool },
    Closed { closed: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4usize, 0..8usize, prop::option::weighted(0.4, 0..3usize), 0..60u16, prop_oneof![4 => 0..5_000i64, 1 => 0..90_000_000i64],
            prop::option::weighted(0.3, any::<bool>()))
            .prop_map(|(device, kind, user, id, late_ms, consent)| Step::Event { device, kind, user, id, late_ms, consent }),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Step::Broken),
        1 => (0..4usize).prop_map(|device| Step::NoId { device }),
        1 => Just(Step::Tick),
        1 => any::<bool>().prop_map(|refuse| Step::Settings { refuse }),
        1 => prop::bool::weighted(0.4).prop_map(|closed| Step::Closed { closed }),
    ]
}

fn event_of(step: &Step, received_at: i64) -> Vec<u8> {
    let Step::Event { device, kind, user, id, late_ms, consent } = step else { panic!("no event") };
    let kind = ["page_view", "identify", "logout", "purchase", "refund", "consent", "search", "page_ping"][*kind];
    let user = user.map(|at| ["anna", "berta", "carla"][at]).or((kind == "identify").then_some("anna"));
    let consent = consent.or((kind == "consent").then_some(true));
    let consent = consent.map(|yes| if yes { json!(["analytics"]) } else { json!([]) });
    // Ids repeat within a device only: where they would meet on two devices, which one comes first would be up to the interleaving.
    let payload = json!({
        "id": format!("d{device}-{id}"), "type": kind, "device": format!("d{device}"), "user": user,
        "time": received_at - late_ms, "consent": consent, "search": {"query": "shoes"},
        "page": {"url": "https://shop.example/?utm_source=google&utm_medium=cpc", "referrer": "https://www.google.com/"},
        "order": (kind == "purchase").then(|| json!({"id": format!("o{id}"), "currency": "EUR", "amount": 7, "lines": [{"product_id": "a", "price": 1}, {"product_id": "b", "price": 2}]})),
        "refund": (kind == "refund").then(|| json!({"order_id": format!("o{id}"), "currency": "EUR", "amount": 7})),
    });
    live(received_at, payload.to_string().as_bytes())
}

pub fn records(steps: &[(Step, i64)]) -> Vec<Vec<u8>> {
    let mut now = NOON;
    let mut number = 0;
    steps
        .iter()
        .map(|(step, pause)| {
            now += pause;
            match step {
                Step::Event { .. } => event_of(step, now),
                Step::Broken(bytes) => bytes.clone(),
                Step::NoId { device } => {
                    live(now, json!({"type": "page_view", "device": format!("d{device}")}).to_string().as_bytes())
                }
                Step::Tick => tick("live", now),
                Step::Closed { closed } => {
                    number += 1;
                    namespace_closed(number, closed.then_some("next."))
                }
                Step::Settings { refuse } => {
                    number += 1;
                    site_config(number, 0, if *refuse { json!({"consent_default": []}) } else { json!({}) })
                }
            }
        })
        .collect()
}

pub fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    prop::collection::vec((step(), prop_oneof![6 => 0..400i64, 1 => 0..40_000_000i64]), 0..80)
}

/// Topic, partition, time, key and value.
pub type Raw = (u16, u32, i64, Vec<u8>, Vec<u8>);

pub fn bytes(out: &Outputs) -> Vec<Raw> {
    out.iter().map(|a| (a.topic, a.partition, a.timestamp_ms, a.key.to_vec(), a.value.to_vec())).collect()
}

/// What an epoch ends in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Commit,
    Undo,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_records_give_the_same_bytes(steps in steps()) {
        let records = records(&steps);
        let first = run(&records);
        prop_assert_eq!(bytes(&first), bytes(&run(&records)));
        // Nothing vanishes either.
        let mut stage = stage();
        feed(&mut stage, 0, &records, &mut Outputs::new());
        prop_assert_eq!(stage.fates().records(), records.len() as u64);
        prop_assert_eq!(stage.fates().get(Fate::Accepted), events(&first).len() as u64);
        prop_assert_eq!(stage.fates().get(Fate::Rejected), rejected(&first).len() as u64);
    }

    /// Epochs of any length; some never happen and are done again, cut differently.
    #[test]
    fn slices_with_undone_epochs_equal_the_straight_run(
        steps in steps(),
        cuts in prop::collection::vec((1..12usize, prop_oneof![2 => Just(End::Commit), 1 => Just(End::Undo)]), 1..40),
    ) {
        let records = records(&steps);
        let straight = run(&records);
        let mut stage = stage();
        let mut out = Outputs::new();
        let mut at = 0;
        let mut cuts = cuts.into_iter().chain(std::iter::repeat((7, End::Commit)));
        while at < records.len() {
            let (length, end) = cuts.next().unwrap();
            let until = (at + length).min(records.len());
            let mark = out.mark();
            feed(&mut stage, at as u64, &records[at..until], &mut out);
            if end == End::Commit {
                stage.commit_epoch();
                at = until;
            } else {
                stage.undo_epoch();
                out.truncate(mark);
            }
        }
        prop_assert_eq!(bytes(&out), bytes(&straight));
        let mut whole = crate::harness::stage();
        feed(&mut whole, 0, &records, &mut Outputs::new());
        prop_assert_eq!(stage.fates(), whole.fates());
        prop_assert_eq!(stage.state_keys(), whole.state_keys());
    }

    /// Each device's records stay in their order; devices are interleaved anew. Offsets differ, and with them revisions and the
    /// moments at which time is announced; nothing else does.
    #[test]
    fn devices_interleaved_another_way_end_the_same(
        steps in prop::collection::vec((step().prop_filter("an event", |step| matches!(step, Step::Event { .. })), 0..400i64), 0..80),
        order in prop::collection::vec(any::<u8>(), 80),
    ) {
        let all = records(&steps);
        let mut queues: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for ((step, _), record) in steps.iter().zip(&all).rev() {
            let Step::Event { device, .. } = step else { continue };
            queues.entry(*device).or_default().push(record.clone());
        }
        let mut shuffled = Vec::new();
        for pick in order {
            let waiting: Vec<usize> = queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(device, _)| *device).collect();
            if waiting.is_empty() {
                break;
            }
            let device = waiting[usize::from(pick) % waiting.len()];
            shuffled.extend(queues.get_mut(&device).and_then(Vec::pop));
        }
        prop_assert_eq!(shuffled.len(), all.len());
        prop_assert_eq!(contents(&run(&all)), contents(&run(&shuffled)));
    }
}

/// Everything written but watermarks, without offsets, as a sorted list.
fn contents(out: &Outputs) -> Vec<String> {
    let mut all: Vec<String> = written(out)
        .into_iter()
        .filter_map(|written| match written {
            Written::Watermark(..) => None,
            Written::Event(at, mut event) => {
                event.revision = 0;
                Some(format!("{at} {event:?}"))
            }
            Written::Identity(mut row) => {
                row.revision = 0;
                Some(format!("{row:?}"))
            }
            Written::Rejected(mut letter) => {
                (letter.revision, letter.offset, letter.rejection_id) = (0, None, "");
                Some(format!("{letter:?}"))
            }
            other => Some(format!("{other:?}")),
        })
        .collect();
    all.sort();
    all
}
