//! Values against naive sums, timers against a look at every day, and the two promises.

use std::collections::BTreeSet;

use millstream_schemas::{Clv, purposes};
use millstream_scoring::btyd::{BtydModel, DAYS_PER_WEEK, GammaGamma, History};
use proptest::prelude::*;

use super::*;
use crate::buyer::{Bought, Buyer};
use crate::core::Context;
use crate::customer::testing::{
    DAY_MS, MAY_SCORE, NECESSARY, START_DAY, buyers, customer, folded, insert, order, refund, zones,
};
use crate::customer::{AsOf, SiteDays};
use crate::testing::{Recorder, context, decode};

fn rules(days: SiteDays) -> Rules {
    Rules { days, ..Rules::of(&SiteConfig::default()) }
}

fn with_gamma_gamma(days: SiteDays) -> Rules {
    let purchases = *BtydModel::built_in().purchases();
    let spending = GammaGamma { p: 6.25, q: 3.74, v: 1_544.0 };
    let model = BtydModel::new("own", "1", "", purchases, Some(spending)).unwrap();
    Rules { model: Arc::new(model), ..rules(days) }
}

/// One amount on one day: (day, net revenue, cost).
type Posting = (i32, i64, Option<i64>);

/// Everything that counts, as postings.
fn postings(buyer: &Buyer, day: i32, rules: &Rules) -> Vec<Posting> {
    let mut all = Vec::new();
    for order in &buyer.orders {
        let Some(reporting) = order.reporting_amount_minor else { continue };
        let at_rate = |minor: i64| {
            if order.amount_minor == 0 { minor } else { (minor * reporting).div_euclid(order.amount_minor) }
        };
        let net = reporting - at_rate(order.named_refunds_minor + order.matched_refunds_minor);
        let cost = if order.amount_minor == 0 && reporting != 0 { None } else { order.cost_minor.map(at_rate) };
        all.push((rules.days.day_of(order.place.time_ms), net, cost));
    }
    for refund in &buyer.refunds {
        if refund.reporting_amount_minor.is_some() {
            let left = refund.amount_minor - refund.lines[0].matched_minor;
            all.push((rules.days.day_of(refund.place.time_ms), -left, Some(0)));
        }
    }
    all.retain(|(at, ..)| *at <= day);
    all
}

/// Without the refunds that came before the first order.
fn since_first_order(buyer: &Buyer) -> Buyer {
    let first = buyer.orders.first().map(|order| order.place);
    let mut later = buyer.clone();
    later.refunds.retain(|refund| first.is_some_and(|first| first < refund.place));
    later
}

fn window(postings: &[Posting], days: std::ops::RangeInclusive<i32>) -> Window {
    let within = || postings.iter().filter(|(day, ..)| days.contains(day));
    let revenue_minor = within().map(|(_, net, _)| net).sum();
    let cost: Option<i64> = within().map(|(.., cost)| *cost).sum();
    Window { revenue_minor, margin_minor: cost.map(|cost| revenue_minor - cost) }
}

fn naive_clv(buyer: &Buyer, day: i32, rules: &Rules) -> Option<[i64; 3]> {
    let scored = Buyer {
        orders: buyer.orders.iter().filter(|order| order.consent == MAY_SCORE).cloned().collect(),
        ..Buyer::default()
    };
    let bought = |order: &Bought| rules.days.day_of(order.place.time_ms);
    let days: BTreeSet<i32> = scored.orders.iter().map(bought).filter(|known| *known <= day).collect();
    let (first, last) = (*days.first()?, *days.last()?);
    let paid = postings(&scored, day, rules);
    let repeats: BTreeSet<i32> = paid.iter().map(|(day, ..)| *day).filter(|day| *day > first).collect();
    let sum =
        |from: i32| paid.iter().filter(|(day, ..)| *day >= from).map(|(_, net, _)| net).sum::<i64>().max(0) as f64;
    let mean = match rules.model.spending() {
        _ if paid.is_empty() => return None,
        Some(spending) => {
            let n = u32::try_from(repeats.len()).unwrap();
            spending.expected_mean(n, sum(first + 1) / f64::from(n.max(1)))
        }
        None => sum(first) / paid.iter().map(|(day, ..)| *day).collect::<BTreeSet<_>>().len() as f64,
    };
    let weeks = |days: i32| f64::from(days) / DAYS_PER_WEEK;
    let history = History {
        repeats: u32::try_from(days.len()).unwrap() - 1,
        latest_weeks: weeks(last - first),
        age_weeks: weeks(day - first),
    };
    Some([30, 90, 365].map(|days| (rules.model.purchases().expected(&history, weeks(days)) * mean).round() as i64))
}

/// Days at whose end a look at every day finds something to tell.
fn naive_story(buyer: &Buyer, until_day: i32, rules: &Rules) -> Vec<i32> {
    let of = |as_of: AsOf| {
        let paid = postings(buyer, as_of.day, rules);
        let trailing =
            [30, 90, 365].map(|days| window(&paid, as_of.last_full_day - days + 1..=as_of.last_full_day).revenue_minor);
        let clv = naive_clv(buyer, as_of.day, rules).map_or(0, |clv| clv[2]);
        let first = buyer.orders.first().map(|order| rules.days.day_of(order.place.time_ms));
        let over = [30, 90, 365].map(|days| first.is_some_and(|first| as_of.last_full_day >= first + days - 1));
        let tier =
            if naive_clv(buyer, as_of.day, rules).is_some() { Tier::of(clv, &rules.settings) } else { Tier::None };
        (trailing, clv, over, tier)
    };
    let latest = buyer.orders.last().map(|order| order.place.time_ms);
    let latest = latest.max(buyer.refunds.last().map(|refund| refund.place.time_ms));
    let Some(latest) = latest else { return Vec::new() };
    let first = of(AsOf::moment(latest, &rules.days));
    let mut told = first;
    let day = rules.days.day_of(latest);
    let ever: i64 = postings(buyer, day, rules).iter().map(|(_, net, _)| net).sum();
    let enough = |minor: i64| (rules.settings.difference * minor.abs() as f64).max(1.0);
    let mut story = Vec::new();
    for day in day..=until_day {
        let now = of(AsOf::end_of(day, &rules.days));
        let moved = now.0.iter().zip(&told.0).any(|(now, then)| (now - then).abs() as f64 >= enough(ever));
        if moved || now.2 != told.2 || now.3 != told.3 || (told.1 - now.1) as f64 >= enough(first.1) {
            story.push(day);
            told = now;
        }
    }
    story
}

fn clv(recorder: &Recorder) -> Vec<Clv<'_>> {
    recorder.rows.iter().map(|row| decode(&row.body)).collect()
}

fn answer<'a>(record: &Clv<'a>) -> Clv<'a> {
    let came_about = Clv::default();
    Clv {
        revision: came_about.revision,
        idempotency_key: came_about.idempotency_key,
        event_time: came_about.event_time,
        source_event: came_about.source_event,
        watermark: came_about.watermark,
        ..record.clone()
    }
}

fn pass(buyer: &Buyer, emitted: &mut Option<Emitted>, rules: &Rules, cx: Context<'_>, out: &mut Recorder) {
    on_timer(buyer, emitted, &customer(), rules, &cx, out);
}

#[test]
fn windows_by_hand() {
    let rules = rules(SiteDays::utc());
    // 100.00 on day 0 (cost 50.00), of which 30.00 came back; 40.00 on day 10; 5.00 given back on day 20, of no order.
    let mut first = order(1, 12, 10_000);
    first.named_refunds_minor = 3_000;
    let buyer = Buyer {
        orders: vec![first, order(2, 10 * 24, 4_000)],
        refunds: vec![refund(1, 20 * 24, 800, 300)],
        ..Buyer::default()
    };
    let at = |day: i32| figures(&buyer, AsOf::end_of(START_DAY + day, &rules.days), &rules).unwrap();
    let window = |revenue_minor, margin_minor| Window { revenue_minor, margin_minor: Some(margin_minor) };
    let known = at(29).realised;
    assert_eq!((known.orders, known.purchase_days, known.mean_day_minor()), (2, 2, Some(5_500)));
    assert_eq!((known.ever, known.unmatched_refunds_minor), (window(10_500, 3_500), 500));
    assert_eq!(known.trailing, [window(10_500, 3_500); 3]);
    assert_eq!(known.since_first, [Some(window(10_500, 3_500)), None, None]);
    // The first order has left 30 days.
    assert_eq!(at(30).realised.trailing, [window(3_500, 1_500), window(10_500, 3_500), window(10_500, 3_500)]);
    assert_eq!(at(28).realised.since_first, [None; 3]);
    assert_eq!(at(364).realised.since_first, [Some(window(10_500, 3_500)); 3]);
    // On the day of an order the windows end at the midnight before.
    let moment = figures(&buyer, AsOf::moment(buyer.orders[1].place.time_ms, &rules.days), &rules).unwrap().realised;
    assert_eq!((moment.trailing[0], moment.ever), (window(7_000, 2_000), window(11_000, 4_000)));
}

#[test]
fn without_cost_no_margin_without_rate_no_amount() {
    let rules = rules(SiteDays::utc());
    let without_cost = Bought { cost_minor: None, ..order(1, 0, 1_000) };
    let without_rate = Bought { reporting_amount_minor: None, ..order(2, 50 * 24, 9_999) };
    let buyer = Buyer { orders: vec![without_cost, without_rate, order(3, 60 * 24, 500)], ..Buyer::default() };
    let known = figures(&buyer, AsOf::end_of(START_DAY + 70, &rules.days), &rules).unwrap().realised;
    assert_eq!((known.orders, known.orders_without_rate, known.ever.revenue_minor), (3, 1, 1_500));
    assert_eq!(known.ever.margin_minor, None);
    // The order without cost is not in the 30 days.
    assert_eq!(known.trailing[0], Window { revenue_minor: 500, margin_minor: Some(250) });
}

#[test]
fn values_need_the_order_predictions_need_consent() {
    let rules = rules(SiteDays::utc());
    let buyer = Buyer { orders: vec![Bought { consent: NECESSARY, ..order(1, 0, 5_000) }], ..Buyer::default() };
    let (mut recorder, mut emitted) = (Recorder::default(), None);
    on_fact(&buyer, &mut emitted, &customer(), &rules, &context(1, 0, 0, "e"), &mut recorder);
    on_fact(&Buyer::default(), &mut emitted, &customer(), &rules, &context(2, 0, 0, "f"), &mut recorder);
    on_fact(&Buyer::default(), &mut emitted, &customer(), &rules, &context(3, 0, 0, "g"), &mut recorder);
    let rows = clv(&recorder);
    assert_eq!((rows[0].revenue_minor, rows[0].clv_365d_minor, rows[0].tier), (5_000, None, "none"));
    assert_eq!((rows[0].consent, rows[0].role, rows[0].model), (i32::from(NECESSARY), "fallback", "bg_nbd+mean"));
    assert!(rows.len() == 2 && rows[1].retracted && !rows[0].retracted);
    // Or a sink that asks for a purpose would keep the row before for ever.
    assert_eq!(rows[1].consent, purposes::ALL);
}

#[test]
fn who_only_gave_back_has_a_value_too() {
    let rules = rules(SiteDays::utc());
    let buyer = Buyer { refunds: vec![refund(1, 0, 800, 0)], ..Buyer::default() };
    let (mut recorder, mut emitted) = (Recorder::default(), None);
    on_fact(&buyer, &mut emitted, &customer(), &rules, &context(1, 0, 0, "e"), &mut recorder);
    let rows = clv(&recorder);
    assert_eq!((rows[0].revenue_minor, rows[0].orders, rows[0].first_order_at), (-800, 0, None));
}

#[test]
fn state_is_small() {
    assert_eq!(size_of::<Option<Emitted>>(), 64);
}

proptest! {
    #[test]
    fn windows_are_those_of_naive_sums(buyer in buyers(), days in zones(), at in -5..900i32, is_end: bool) {
        for rules in [rules(days.clone()), with_gamma_gamma(days)] {
            let as_of = if is_end {
                AsOf::end_of(START_DAY + at, &rules.days)
            } else {
                AsOf::moment(rules.days.midnight_ms(START_DAY + at) + 1, &rules.days)
            };
            let figures = figures(&buyer, as_of, &rules);
            let paid = postings(&buyer, as_of.day, &rules);
            let bought: Vec<_> =
                buyer.orders.iter().filter(|order| rules.days.day_of(order.place.time_ms) <= as_of.day).collect();
            let Some(figures) = figures else {
                prop_assert!(bought.is_empty() && paid.is_empty());
                continue;
            };
            let known = figures.realised;
            prop_assert_eq!(known.orders as usize, bought.len());
            let days: BTreeSet<i32> = bought.iter().map(|order| rules.days.day_of(order.place.time_ms)).collect();
            prop_assert_eq!(known.purchase_days as usize, days.len());
            prop_assert_eq!(known.ever, window(&paid, i32::MIN..=i32::MAX));
            for (index, length) in [30, 90, 365].into_iter().enumerate() {
                let end = as_of.last_full_day;
                prop_assert_eq!(known.trailing[index], window(&paid, end - length + 1..=end));
                let since = days.first().filter(|first| end >= **first + length - 1);
                let paid = postings(&since_first_order(&buyer), as_of.day, &rules);
                prop_assert_eq!(known.since_first[index], since.map(|first| window(&paid, *first..=first + length - 1)));
            }
            prop_assert_eq!(figures.predicted.map(|predicted| predicted.clv_minor), naive_clv(&buyer, as_of.day, &rules));
        }
    }

    #[test]
    fn what_is_folded_is_not_forgotten(buyer in buyers(), days in zones(), at in 0..500i32) {
        for rules in [rules(days.clone()), with_gamma_gamma(days)] {
            let old = folded(&buyer, START_DAY + at, &rules.days);
            // Once it has left the trailing windows.
            for later in [at + 365, 1_000] {
                let as_of = AsOf::end_of(START_DAY + later, &rules.days);
                let (kept, whole) = (figures(&old, as_of, &rules), figures(&buyer, as_of, &rules));
                // Of whom nothing was known but refunds that come to nothing, nothing is left.
                let came_to_nothing = whole.as_ref().is_some_and(|whole| {
                    whole.realised.orders == 0 && whole.realised.ever.revenue_minor == 0
                });
                prop_assert!(kept == whole || (kept.is_none() && came_to_nothing), "{kept:?} is not {whole:?}");
            }
        }
    }

    #[test]
    fn timers_tell_what_a_look_at_every_day_finds(
        buyer in buyers(), days in zones(), difference in prop::sample::select(vec![0.05, 0.1, 1.0]),
    ) {
        let mut rules = rules(days);
        rules.settings.difference = difference;
        let until_day = START_DAY + 1_000;
        let (mut recorder, mut emitted) = (Recorder::default(), None);
        on_fact(&buyer, &mut emitted, &customer(), &rules, &context(1, i64::MIN, 0, "e"), &mut recorder);
        let mut told = Vec::new();
        let mut offset = 1;
        while let Some(day) = emitted.and_then(|emitted| emitted.due_day).filter(|day| *day <= until_day) {
            let due_ms = next_due_ms(emitted.as_ref(), &rules).unwrap();
            let rows = recorder.rows.len();
            offset += 2;
            pass(&buyer, &mut emitted, &rules, context(offset - 1, due_ms, 0, ""), &mut recorder);
            prop_assert_eq!(recorder.rows.len(), rows);
            pass(&buyer, &mut emitted, &rules, context(offset, due_ms + 1, 0, ""), &mut recorder);
            prop_assert_eq!(recorder.rows.len(), rows + 1);
            prop_assert_eq!(rules.days.midnight_ms(day + 1), due_ms);
            told.push(day);
        }
        prop_assert_eq!(told, naive_story(&buyer, until_day, &rules));
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
            let mut known = Buyer { refunds: buyer.refunds.clone(), ..Buyer::default() };
            let (mut recorder, mut emitted) = (Recorder::default(), None);
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
        let (one, other) = (one.current("clv"), other.current("clv"));
        let answers = |rows: &std::collections::BTreeMap<String, Vec<u8>>| {
            rows.values().map(|body| format!("{:?}", answer(&decode(body)))).collect::<Vec<_>>()
        };
        prop_assert_eq!(answers(&one), answers(&other));
    }
}
