//! Scores against a naive count of days, timers against a look at every day, and the two promises.

use std::collections::BTreeSet;

use millstream_schemas::{Churn, purposes};
use millstream_scoring::btyd::{BgNbd, DAYS_PER_WEEK, History};
use proptest::prelude::*;

use super::*;
use crate::buyer::Buyer;
use crate::core::Context;
use crate::customer::testing::{
    DAY_MS, MAY_SCORE, NECESSARY, START_DAY, buyers, customer, folded, insert, order, zones,
};
use crate::customer::{AsOf, SiteDays};
use crate::testing::{Recorder, context, decode};

fn rules(days: SiteDays) -> Rules {
    Rules { days, ..Rules::of(&SiteConfig::default()) }
}

/// The model's answer to a set of days.
fn naive(buyer: &Buyer, day: i32, rules: &Rules) -> Option<(usize, [f64; 3], [f64; 3])> {
    let scored = buyer.orders.iter().filter(|order| order.consent == MAY_SCORE);
    let days: BTreeSet<i32> =
        scored.map(|order| rules.days.day_of(order.place.time_ms)).filter(|known| *known <= day).collect();
    let (first, last) = (*days.first()?, *days.last()?);
    let history = History {
        repeats: u32::try_from(days.len()).unwrap() - 1,
        latest_weeks: f64::from(last - first) / DAYS_PER_WEEK,
        age_weeks: f64::from(day - first) / DAYS_PER_WEEK,
    };
    let model = rules.model.purchases();
    let weeks = [30.0, 90.0, 365.0].map(|days| days / DAYS_PER_WEEK);
    Some((
        days.len(),
        weeks.map(|weeks| model.p_active(&history, weeks)),
        weeks.map(|weeks| model.expected(&history, weeks)),
    ))
}

/// What would be told after the latest order, found by looking at every day up to `until_day`.
fn naive_story(buyer: &Buyer, until_day: i32, rules: &Rules) -> Vec<(i32, f64)> {
    let Some(latest) = buyer.orders.iter().rev().find(|order| order.consent == MAY_SCORE) else { return Vec::new() };
    let day = rules.days.day_of(latest.place.time_ms);
    let p = |day: i32| naive(buyer, day, rules).unwrap().1[1];
    let mut story = vec![(day, p(day))];
    for day in day + 1..=until_day {
        let (now, told) = (p(day), story[story.len() - 1].1);
        let tier = |p: f64| Tier::of(p, &rules.settings);
        if tier(now) != tier(told) || told - now >= rules.settings.difference {
            story.push((day, now));
        }
    }
    story
}

fn churn(recorder: &Recorder) -> Vec<Churn<'_>> {
    recorder.rows.iter().map(|row| decode(&row.body)).collect()
}

/// What is compared: everything but how the answer came about.
fn answer<'a>(record: &Churn<'a>) -> Churn<'a> {
    let came_about = Churn::default();
    Churn {
        revision: came_about.revision,
        idempotency_key: came_about.idempotency_key,
        event_time: came_about.event_time,
        source_event: came_about.source_event,
        watermark: came_about.watermark,
        ..record.clone()
    }
}

/// Time passes from one input record to the next: each is one watermark.
fn pass(buyer: &Buyer, emitted: &mut Option<Emitted>, rules: &Rules, cx: Context<'_>, out: &mut Recorder) {
    on_timer(buyer, emitted, &customer(), rules, &cx, out);
}

#[test]
fn a_customer_of_cdnow() {
    // Bought on days 0, 17 and 213; as of day 272, with the golden parameters.
    let mut buyer = Buyer::default();
    for (number, day) in [0, 17, 213].into_iter().enumerate() {
        buyer.orders.push(order(number, day * 24, 2_933));
    }
    let rules = rules(SiteDays::utc());
    let figures = figures(&buyer, AsOf::end_of(START_DAY + 272, &rules.days), &rules).unwrap();
    assert_eq!((figures.purchase_days.days, figures.purchase_days.last_day), (3, START_DAY + 213));
    let history = figures.purchase_days.history(START_DAY + 272);
    let expected_39_weeks = rules.model.purchases().expected(&history, 39.0);
    assert!((expected_39_weeks - 1.2260).abs() < 2e-4, "{expected_39_weeks}");
    assert_eq!(figures.tier, Tier::Cooling);
}

#[test]
fn orders_without_the_purpose_are_as_if_they_had_not_been() {
    let rules = rules(SiteDays::utc());
    let mut recorder = Recorder::default();
    let (mut buyer, mut emitted) = (Buyer::default(), None);
    let mut told = |buyer: &Buyer, offset: u64| {
        let cx = context(offset, i64::from(START_DAY) * DAY_MS, 0, "e");
        on_fact(buyer, &mut emitted, &customer(), &rules, &cx, &mut recorder);
        recorder.rows.len()
    };
    buyer.orders.push(crate::buyer::Bought { consent: NECESSARY, ..order(0, 0, 100) });
    assert_eq!(told(&buyer, 1), 0);
    buyer.orders.push(order(1, 24, 100));
    assert_eq!(told(&buyer, 2), 1);
    // The order goes to somebody else: what was told is retracted, once.
    buyer.orders.pop();
    assert_eq!((told(&buyer, 3), told(&buyer, 4)), (2, 2));
    let rows = churn(&recorder);
    assert_eq!((rows[0].purchase_days, rows[0].consent, rows[0].role), (1, i32::from(MAY_SCORE), "fallback"));
    assert!(!rows[0].retracted && rows[1].retracted && rows[1].revision > rows[0].revision);
    // Or a sink that asks for a purpose would keep the row before for ever.
    assert_eq!(rows[1].consent, purposes::ALL);
}

#[test]
fn reasons_rank_what_moved_the_score() {
    let rules = rules(SiteDays::utc());
    let said = |days: &[i64], now: i32| {
        let orders = days.iter().enumerate().map(|(number, day)| order(number, day * 24, 100)).collect();
        let buyer = Buyer { orders, ..Buyer::default() };
        let figures = figures(&buyer, AsOf::end_of(START_DAY + now, &rules.days), &rules).unwrap();
        let mut recorder = Recorder::default();
        emit(&figures, &buyer, &customer(), &rules, &context(1, 0, 0, ""), &mut recorder);
        let row: Churn<'_> = decode(&recorder.rows[0].body);
        row.reasons.join(" ")
    };
    assert_eq!(said(&[0], 0), "single_purchase");
    assert_eq!(said(&[0], 100), "days_since_last_purchase single_purchase");
    assert_eq!(said(&[0, 7, 14, 21, 28], 28), "repeat_purchases");
    assert_eq!(said(&[0, 7, 14, 21, 28], 200), "days_since_last_purchase repeat_purchases");
    assert_eq!(said(&[0, 900], 900), "rare_purchases");
}

#[test]
fn a_shops_own_model_is_champion() {
    let settings = r#"{"btyd": {"name": "own", "version": "7", "unit": "weeks", "bg_nbd": {"r": 2, "alpha": 3, "a": 0.5, "b": 3}}}"#;
    let rules = Rules::of(&SiteConfig::parse("shop", settings).unwrap());
    assert_eq!(rules.model.purchases(), &BgNbd { r: 2.0, alpha: 3.0, a: 0.5, b: 3.0 });
    let buyer = Buyer { orders: vec![order(0, 0, 100)], ..Buyer::default() };
    let (mut recorder, mut emitted) = (Recorder::default(), None);
    on_fact(&buyer, &mut emitted, &customer(), &rules, &context(1, 0, 0, "e"), &mut recorder);
    let rows = churn(&recorder);
    assert_eq!(
        (rows[0].role, rows[0].model, rows[0].model_version, rows[0].tier),
        ("champion", "bg_nbd", "7", "active")
    );
}

#[test]
fn state_is_small() {
    assert_eq!(size_of::<Option<Emitted>>(), 24);
}

proptest! {
    #[test]
    fn figures_are_those_of_a_set_of_days(buyer in buyers(), days in zones(), at in -5..900i32) {
        let rules = rules(days);
        let as_of = AsOf::end_of(START_DAY + at, &rules.days);
        let figures = figures(&buyer, as_of, &rules);
        let naive = naive(&buyer, as_of.day, &rules);
        prop_assert_eq!(
            figures.map(|figures| (figures.purchase_days.days as usize, figures.p_active, figures.expected_orders)),
            naive
        );
    }

    #[test]
    fn what_is_folded_is_not_forgotten(buyer in buyers(), days in zones(), at in 0..500i32) {
        let rules = rules(days);
        let old = folded(&buyer, START_DAY + at, &rules.days);
        for later in [at, 500, 900] {
            let as_of = AsOf::end_of(START_DAY + later, &rules.days);
            prop_assert_eq!(figures(&old, as_of, &rules), figures(&buyer, as_of, &rules));
        }
    }

    #[test]
    fn timers_tell_what_a_look_at_every_day_finds(
        buyer in buyers(), days in zones(), difference in prop::sample::select(vec![0.02, 0.1, 1.0]),
    ) {
        let mut rules = rules(days);
        rules.settings.difference = difference;
        let until_day = START_DAY + 900;
        let (mut recorder, mut emitted) = (Recorder::default(), None);
        on_fact(&buyer, &mut emitted, &customer(), &rules, &context(1, i64::MIN, 0, "e"), &mut recorder);
        let mut offset = 1;
        while let Some(due_ms) = next_due_ms(emitted.as_ref(), &rules).filter(|_| emitted.unwrap().due_day.unwrap() <= until_day) {
            let rows = recorder.rows.len();
            offset += 2;
            // Not before the watermark has passed the midnight; then once.
            pass(&buyer, &mut emitted, &rules, context(offset - 1, due_ms, 0, ""), &mut recorder);
            prop_assert_eq!(recorder.rows.len(), rows);
            pass(&buyer, &mut emitted, &rules, context(offset, due_ms + 1, 0, ""), &mut recorder);
            prop_assert_eq!(recorder.rows.len(), rows + 1);
        }
        let told: Vec<(i32, f64)> =
            churn(&recorder).iter().map(|row| (rules.days.day_of(row.scored_at - 1), row.p_active_90d)).collect();
        let mut story = naive_story(&buyer, until_day, &rules);
        // An order at midnight is on the day that begins, a timer speaks of the one that ends.
        if let (Some(first), Some(told)) = (story.first_mut(), told.first()) {
            first.0 = told.0;
        }
        prop_assert_eq!(told, story);
        recorder.assert_one_output_per_key_and_revision();
    }

    #[test]
    fn any_interleaving_ends_the_same_and_replays_the_same(
        buyer in buyers(), days in zones(), shuffle in prop::collection::vec(any::<u32>(), 12),
        marks in prop::collection::vec(0..900i64, 12), end in 500..1_200i64,
    ) {
        let rules = rules(days);
        let at = |day: i64| (i64::from(START_DAY) + day) * DAY_MS + 1;
        let run = |order: &[usize], marks: &[i64]| {
            let (mut recorder, mut emitted, mut known) = (Recorder::default(), None, Buyer::default());
            let (mut offset, mut watermark_ms) = (0, i64::MIN);
            for (number, place) in order.iter().enumerate() {
                offset += 1;
                insert(&mut known, &buyer.orders[*place]);
                let cx = context(offset, watermark_ms, buyer.orders[*place].place.time_ms, "e");
                on_fact(&known, &mut emitted, &customer(), &rules, &cx, &mut recorder);
                if let Some(mark) = marks.get(number) {
                    watermark_ms = watermark_ms.max(at(*mark));
                    offset += 1;
                    pass(&known, &mut emitted, &rules, context(offset, watermark_ms, 0, ""), &mut recorder);
                }
            }
            pass(&known, &mut emitted, &rules, context(offset + 1, at(end), 0, ""), &mut recorder);
            recorder.assert_one_output_per_key_and_revision();
            recorder
        };
        let sorted: Vec<usize> = (0..buyer.orders.len()).collect();
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|place| shuffle[*place]);
        let marks: Vec<i64> = marks.iter().map(|mark| *mark.min(&end)).collect();
        let (one, other) = (run(&sorted, &[]), run(&shuffled, &marks));
        prop_assert_eq!(&run(&shuffled, &marks).rows, &other.rows);
        let (one, other) = (one.current("churn"), other.current("churn"));
        let answers = |rows: &std::collections::BTreeMap<String, Vec<u8>>| {
            rows.values().map(|body| format!("{:?}", answer(&decode(body)))).collect::<Vec<_>>()
        };
        prop_assert_eq!(answers(&one), answers(&other));
    }
}
