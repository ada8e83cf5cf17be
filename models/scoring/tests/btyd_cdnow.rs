//! BG/NBD and Gamma-Gamma on CDNOW's sample (Fader and Hardie), against the published figures. Without `MILLSTREAM_DATA` the tests are
//! skipped by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the data set is read from a file")]

use std::collections::BTreeMap;

use millstream_scoring::btyd::fit::{self, Spending};
use millstream_scoring::btyd::{BtydModel, DAYS_PER_WEEK, History};

/// Day of the year 1997, 1998 counted on.
fn day(date: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| date[range].parse::<i64>().unwrap();
    let (year, month, day): (i64, i64, i64) = (number(0..4), number(4..6), number(6..8));
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][usize::try_from(month).unwrap() - 1];
    (year - 1997) * 365 + before + day
}

/// Customer → day → what was spent.
fn purchases(test: &str) -> Option<BTreeMap<String, BTreeMap<i64, f64>>> {
    let Ok(folder) = std::env::var("MILLSTREAM_DATA") else {
        eprintln!("skipped {test}: MILLSTREAM_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(format!("{folder}/cdnow/CDNOW_sample.txt")).unwrap();
    let mut customers: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, customer, date, _, value] = fields[..] else { continue };
        let days = customers.entry(customer.to_owned()).or_default();
        *days.entry(day(date)).or_default() += value.parse::<f64>().unwrap();
    }
    Some(customers)
}

const CUT: i64 = 273;

fn history(days: &BTreeMap<i64, f64>) -> Option<History> {
    let days: Vec<i64> = days.keys().copied().filter(|day| *day <= CUT).collect();
    let (first, last) = (*days.first()?, *days.last()?);
    let weeks = |days: i64| days as f64 / DAYS_PER_WEEK;
    let repeats = u32::try_from(days.len()).unwrap() - 1;
    Some(History { repeats, latest_weeks: weeks(last - first), age_weeks: weeks(CUT - first) })
}

fn near(what: &str, is: f64, should: f64, relative: f64) {
    assert!((is - should).abs() <= relative * should.abs(), "{what}: {is}, not {should}");
}

#[test]
fn forecasts_of_cdnow() {
    let Some(customers) = purchases("forecasts_of_cdnow") else { return };
    let model = *BtydModel::built_in().purchases();
    let histories: Vec<History> = customers.values().filter_map(history).collect();
    assert_eq!((histories.len(), histories.iter().map(|customer| customer.repeats).sum::<u32>()), (2_357, 2_457));
    for (days, expected, active) in
        [(30.0, 218.55, 170.26), (90.0, 621.64, 359.93), (365.0, 2_093.98, 687.71), (273.0, 1_653.42, 617.03)]
    {
        let weeks = days / DAYS_PER_WEEK;
        let sum = |score: &dyn Fn(&History) -> f64| histories.iter().map(score).sum::<f64>();
        near("expected", sum(&|customer| model.expected(customer, weeks)), expected, 1e-4);
        near("active", sum(&|customer| model.p_active(customer, weeks)), active, 1e-4);
    }
    let mut error = 0.0;
    let mut actual = 0;
    for days in customers.values() {
        let customer = history(days).unwrap();
        let held_out = days.keys().filter(|day| **day > CUT).count();
        actual += held_out;
        error += (model.expected(&customer, 39.0) - held_out as f64).abs();
    }
    assert_eq!(actual, 1_882);
    near("mean absolute error", error / histories.len() as f64, 0.7855, 1e-4);
}

#[test]
fn parameters_of_cdnow() {
    let Some(customers) = purchases("parameters_of_cdnow") else { return };
    // As published: weeks rounded to hundredths.
    let round = |weeks: f64| (weeks * 100.0).round() / 100.0;
    let rounded = |customer: History| History {
        latest_weeks: round(customer.latest_weeks),
        age_weeks: round(customer.age_weeks),
        ..customer
    };
    let histories: Vec<History> = customers.values().filter_map(history).map(rounded).collect();
    let fitted = fit::bg_nbd(&histories).unwrap();
    eprintln!("{fitted:?}");
    near("log-likelihood", fitted.log_likelihood, -9_582.425_56, 1e-9);
    let model = fitted.parameters;
    for (name, is, should) in [
        ("r", model.r, 0.242_593),
        ("alpha", model.alpha, 4.413_532),
        ("a", model.a, 0.792_886),
        ("b", model.b, 2.425_753),
    ] {
        near(name, is, should, 1e-4);
    }
}

#[test]
fn spending_of_cdnow() {
    let Some(customers) = purchases("spending_of_cdnow") else { return };
    let repeaters: Vec<Spending> = customers
        .values()
        .filter_map(|days| {
            let days: Vec<f64> = days.iter().filter(|(day, _)| **day <= CUT).map(|(_, value)| *value).collect();
            let repeats = days.get(1..).filter(|repeats| !repeats.is_empty())?;
            let mean = repeats.iter().sum::<f64>() / repeats.len() as f64;
            Some(Spending { purchases: u32::try_from(repeats.len()).unwrap(), mean })
        })
        .collect();
    assert_eq!(repeaters.len(), 946);
    let fitted = fit::gamma_gamma(&repeaters).unwrap();
    let model = fitted.parameters;
    eprintln!("{fitted:?}");
    // Published to two or three digits (6.25, 3.74, 15.44), from means rounded to cents.
    for (name, is, should) in [("p", model.p, 6.25), ("q", model.q, 3.744), ("v", model.v, 15.44)] {
        near(name, is, should, 3e-3);
    }
    near("log-likelihood", fitted.log_likelihood, -4_055.917_7, 1e-4);
    near("mean spend", model.expected_mean(0, 0.0), 35.1704, 1e-3);
}
