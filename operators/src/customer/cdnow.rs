//! CDNOW's customers of 1997 (Fader and Hardie's sample), as facts about their orders would build them: the published forecasts must come
//! out of the operators. Without `MILLSTREAM_DATA` the test is skipped by name.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "the data set is read from a file")]

use std::collections::BTreeMap;

use super::testing::order;
use super::{AsOf, SiteDays};
use crate::buyer::Buyer;
use crate::site::SiteConfig;
use crate::{churn, clv};

/// 1997-01-01 and 1997-09-30, days since 1970-01-01.
const FIRST_DAY: i32 = 9_862;
const LAST_DAY: i32 = 10_134;

/// Customers with one order of each day up to the end of September, cents.
fn customers(test: &str) -> Option<Vec<Buyer>> {
    let Ok(folder) = std::env::var("MILLSTREAM_DATA") else {
        eprintln!("skipped {test}: MILLSTREAM_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(format!("{folder}/cdnow/CDNOW_sample.txt")).unwrap();
    let mut days: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, customer, date, _, dollars] = fields[..] else { panic!("{line}") };
        let date: jiff::civil::Date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]).parse().unwrap();
        let day = FIRST_DAY + date.since(jiff::civil::date(1997, 1, 1)).unwrap().get_days();
        if day <= LAST_DAY {
            let cents = (dollars.parse::<f64>().unwrap() * 100.0).round() as i64;
            *days.entry(customer).or_default().entry(day).or_default() += cents;
        }
    }
    let hour = |day: i32| i64::from(day - super::testing::START_DAY) * 24;
    let buyers = days.values().map(|days| {
        let orders = days.iter().enumerate().map(|(number, (day, cents))| order(number, hour(*day), *cents));
        Buyer { orders: orders.collect(), ..Buyer::default() }
    });
    Some(buyers.collect())
}

fn near(what: &str, is: f64, should: f64) {
    assert!((is - should).abs() <= 1e-3 * should, "{what}: {is}, not {should}");
}

#[test]
fn forecasts_of_cdnow() {
    let Some(customers) = customers("forecasts_of_cdnow") else { return };
    let site = SiteConfig { currency: "USD".to_owned(), ..SiteConfig::default() };
    let (churn_rules, clv_rules) = (churn::Rules::of(&site), clv::Rules::of(&site));
    let as_of = AsOf::end_of(LAST_DAY, &SiteDays::utc());
    let scores: Vec<churn::Figures> =
        customers.iter().map(|buyer| churn::figures(buyer, as_of, &churn_rules).unwrap()).collect();
    assert_eq!(scores.len(), 2_357);
    assert_eq!(scores.iter().map(|score| score.purchase_days.days - 1).sum::<u32>(), 2_457);
    for (at, expected, active) in [(0, 218.55, 170.26), (1, 621.64, 359.93), (2, 2_093.98, 687.71)] {
        near("expected", scores.iter().map(|score| score.expected_orders[at]).sum(), expected);
        near("active", scores.iter().map(|score| score.p_active[at]).sum(), active);
    }
    // Values: everything bought so far, all of it within the year; what is predicted follows the expected days.
    let values: Vec<clv::Figures> =
        customers.iter().map(|buyer| clv::figures(buyer, as_of, &clv_rules).unwrap()).collect();
    let bought: i64 = customers.iter().flat_map(|buyer| &buyer.orders).map(|order| order.amount_minor).sum();
    assert_eq!(values.iter().map(|value| value.realised.ever.revenue_minor).sum::<i64>(), bought);
    assert_eq!(values.iter().map(|value| value.realised.trailing[2].revenue_minor).sum::<i64>(), bought);
    for (score, value) in scores.iter().zip(&values) {
        let predicted = value.predicted.unwrap();
        for (expected, minor) in score.expected_orders.iter().zip(predicted.clv_minor) {
            assert!((expected * predicted.day_minor - minor as f64).abs() <= 0.5 + 1e-6);
        }
    }
}
