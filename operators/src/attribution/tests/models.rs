//! Each model against its definition in floating point, and every sum exactly.

use std::collections::BTreeMap;

use millstream_schemas::Id;
use proptest::prelude::*;

use super::*;
use crate::attribution::{Credit, Model, credits};

const CHANNELS: [&str; 5] = ["direct", "email", "paid_search", "internal", "call_centre"];

/// The share of the touch at `at` of a path, by the definition.
fn share(model: Model, path: &[Touch<'_>], at: usize, half_life: HalfLife) -> f64 {
    let n = path.len();
    let all_to = |winner: usize| if at == winner { 1.0 } else { 0.0 };
    match model {
        Model::First => all_to(0),
        Model::Last => all_to(n - 1),
        Model::LastNonDirect => {
            let mut named =
                path.iter().enumerate().filter(|(_, touch)| !["direct", "internal"].contains(&touch.channel));
            all_to(named.next_back().map_or(n - 1, |(at, _)| at))
        }
        Model::Linear => 1.0 / n as f64,
        Model::TimeDecay => {
            let weight = |at: usize| match half_life {
                HalfLife::Ms(half_life) => 0.5f64.powf((path[n - 1].at_ms - path[at].at_ms) as f64 / half_life as f64),
                HalfLife::Touches(half_life) => 0.5f64.powf((n - 1 - at) as f64 / f64::from(half_life)),
            };
            weight(at) / (0..n).map(weight).sum::<f64>()
        }
        Model::Position if n <= 2 => 1.0 / n as f64,
        Model::Position if at == 0 || at == n - 1 => 0.4,
        Model::Position => 0.2 / (n - 2) as f64,
    }
}

fn sums(credits: &[Credit<'_>], amount: impl Fn(&Credit<'_>) -> i64) -> Vec<i64> {
    let mut sums = BTreeMap::new();
    for credit in credits {
        *sums.entry(credit.model).or_insert(0) += amount(credit);
    }
    Model::ALL.iter().map(|model| sums[model]).collect()
}

fn half_lives() -> impl Strategy<Value = HalfLife> {
    prop_oneof![(DAY_MS..30 * DAY_MS).prop_map(HalfLife::Ms), (1u32..4).prop_map(HalfLife::Touches)]
}

proptest! {
    #[test]
    fn every_model_is_its_definition_and_adds_up(
        touches in prop::collection::vec((0i64..90 * DAY_MS, 0..CHANNELS.len()), 0..14),
        (gross, named, matched) in (0i64..1_000_000, 0i64..500_000, 0i64..500_000),
        reporting in prop::option::of(0i64..2_000_000),
        cost in prop::option::of(0i64..900_000),
        half_life in half_lives(),
    ) {
        let touches = (1u128..).zip(touches).map(|(id, (at_ms, channel))| touch(id, at_ms, CHANNELS[channel]));
        let mut path: Vec<_> = touches.collect();
        path.sort_by_key(|touch| (touch.at_ms, touch.id));
        let order = Bought {
            named_refunds_minor: named,
            matched_refunds_minor: matched,
            reporting_amount_minor: reporting,
            cost_minor: cost,
            ..order("o", 90 * DAY_MS, gross)
        };
        let all = credits(path.iter().copied(), &order, half_life);
        let refunded = named + matched;
        prop_assert_eq!(sums(&all, |credit| credit.gross_minor), [gross; 6]);
        prop_assert_eq!(sums(&all, |credit| credit.refunded_minor), [refunded; 6]);
        prop_assert_eq!(sums(&all, |credit| credit.credited_minor()), [gross - refunded; 6]);
        for credit in &all {
            prop_assert_eq!(credit.reporting_credited_minor.is_some(), order.net_reporting_minor().is_some());
            prop_assert_eq!(credit.margin_minor.is_some(), cost.is_some());
        }
        if let Some(net) = order.net_reporting_minor() {
            prop_assert_eq!(sums(&all, |credit| credit.reporting_credited_minor.unwrap()), [net; 6]);
        }
        if let Some(cost) = cost {
            prop_assert_eq!(sums(&all, |credit| credit.margin_minor.unwrap()), [gross - refunded - cost; 6]);
        }
        if path.is_empty() {
            prop_assert_eq!(all.len(), 6);
            prop_assert!(all.iter().all(|credit| credit.touch.is_none() && credit.position == 0 && credit.weight == 1.0));
        }
        let found: BTreeMap<(Model, Option<Id>), &Credit<'_>> = all.iter().map(|credit| (credit.key(), credit)).collect();
        prop_assert_eq!(found.len(), all.len(), "a touch has one credit a model");
        for (model, (at, touch)) in Model::ALL.iter().flat_map(|&model| path.iter().enumerate().map(move |one| (model, one))) {
            let share = share(model, &path, at, half_life);
            let Some(credit) = found.get(&(model, Some(touch.id))) else {
                prop_assert!(share < 1e-12, "{model:?} left out {share}");
                continue;
            };
            prop_assert!((credit.weight - share).abs() < 1e-8, "{model:?}: {} instead of {share}", credit.weight);
            prop_assert!((credit.gross_minor as f64 - share * gross as f64).abs() < 1.01);
            prop_assert!((credit.refunded_minor as f64 - share * refunded as f64).abs() < 1.01);
            prop_assert_eq!((credit.position as usize, credit.touches as usize), (at + 1, path.len()));
        }
    }
}

#[test]
fn a_known_path() {
    let path = [touch(1, 0, "email"), touch(2, 7 * DAY_MS, "paid_search"), touch(3, 14 * DAY_MS, "direct")];
    let order = Bought { named_refunds_minor: 100, ..order("o", 15 * DAY_MS, 1_000) };
    let all = credits(path, &order, HalfLife::Ms(7 * DAY_MS));
    let of = |model| -> Vec<_> {
        let of_model = all.iter().filter(|credit| credit.model == model);
        of_model.map(|credit| (credit.position, credit.gross_minor, credit.refunded_minor)).collect()
    };
    assert_eq!(of(Model::First), [(1, 1_000, 100)]);
    assert_eq!(of(Model::Last), [(3, 1_000, 100)]);
    assert_eq!(of(Model::LastNonDirect), [(2, 1_000, 100)]);
    assert_eq!(of(Model::Linear), [(1, 334, 34), (2, 333, 33), (3, 333, 33)]);
    // 1 : 2 : 4.
    assert_eq!(of(Model::TimeDecay), [(1, 143, 14), (2, 286, 29), (3, 571, 57)]);
    assert_eq!(of(Model::Position), [(1, 400, 40), (2, 200, 20), (3, 400, 40)]);
}

#[test]
fn where_all_are_direct_the_last_is_the_last() {
    let path = [touch(1, 0, "direct"), touch(2, 1, "internal")];
    let order = order("o", 2, 10);
    let all = credits(path, &order, HalfLife::Touches(1));
    let winner = all.iter().find(|credit| credit.model == Model::LastNonDirect).unwrap();
    assert_eq!(winner.touch.unwrap().id, Id(2));
}

#[test]
fn a_path_is_within_the_lookback_at_or_before_the_order_each_touch_once() {
    let at = 100 * DAY_MS;
    let touches = [
        touch(1, at - 90 * DAY_MS - 1, "email"),
        touch(2, at - 90 * DAY_MS, "email"),
        touch(3, at - DAY_MS, "email"),
        touch(3, at - HOUR_MS, "direct"),
        touch(5, at, "direct"),
        touch(6, at + 1, "email"),
    ];
    let ledger = ledger(touches);
    let order = order("o", at, 10);
    let path: Vec<_> = ledger.touches().path(&order, &rules()).iter().map(|touch| (touch.id.0, touch.at_ms)).collect();
    assert_eq!(path, [(2, at - 90 * DAY_MS), (3, at - DAY_MS), (5, at)]);
}

#[test]
fn of_a_long_path_the_newest_count() {
    let newest = crate::core::limits::TOUCHES_PER_PATH as i64;
    let touches: Vec<_> = (0..newest + 20).map(|n| touch(n as u128 + 1, n * HOUR_MS, "direct")).collect();
    let ledger = ledger(touches);
    let order = order("o", 80 * DAY_MS, 10);
    let path = ledger.touches().path(&order, &rules());
    assert_eq!((path.len() as i64, path[0].at_ms), (newest, 20 * HOUR_MS));
}
