//! Against a model that XGBoost trained and the predictions it made, on public data found through `MILLSTREAM_DATA`.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a test; it says that it was skipped")]

use std::io::{Read, Write};
use std::path::PathBuf;

use millstream_scoring::forest::{Forest, sigmoid};
use millstream_scoring::xgboost;

const NAME: &str = "a_forest_trained_by_xgboost_scores_as_xgboost_does";

/// The file, or `None` after noting that the test was skipped.
fn data(file: &str) -> Option<Vec<u8>> {
    let found = std::env::var("MILLSTREAM_DATA").ok().map(|folder| PathBuf::from(folder).join(file));
    if let Some(bytes) = found.and_then(|path| std::fs::read(path).ok()) {
        return Some(bytes);
    }
    let reason = format!("{NAME}: MILLSTREAM_DATA has no {file}");
    eprintln!("SKIPPED {reason}");
    if let Ok(log) = std::env::var("MILLSTREAM_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(log, "{reason}").unwrap();
    }
    None
}

/// The 17 features of a row: month and kind of visitor as numbers, the rest as it is.
fn features(row: &str) -> Vec<f32> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "June", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |(at, text): (usize, &str)| match (at, text) {
        (10, month) => MONTHS.iter().position(|&name| name == month).unwrap() as f32 + 1.0,
        (15, "Returning_Visitor") | (16, "FALSE") => 0.0,
        (15, "New_Visitor") | (16, "TRUE") => 1.0,
        (15, "Other") => 2.0,
        (_, text) => text.parse().unwrap(),
    };
    row.split(',').take(17).enumerate().map(number).collect()
}

#[test]
fn a_forest_trained_by_xgboost_scores_as_xgboost_does() {
    let Some(csv) = data("online_shoppers/online_shoppers_intention.csv") else { return };
    let Some(model) = data("online_shoppers/ref/xgb_tuned_rowmod5_fold0.json") else { return };
    let Some(wanted) = data("online_shoppers/ref/xgb_tuned_rowmod5_fold0_pred.csv.gz") else { return };
    let forest = Forest::new(&xgboost::trees(&model).unwrap()).unwrap();
    assert_eq!((forest.trees(), forest.features()), (300, 17));
    let csv = String::from_utf8(csv).unwrap();
    let rows: Vec<&str> = csv.lines().skip(1).map(str::trim_end).collect();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*wanted).read_to_string(&mut text).unwrap();
    let (mut checked, mut worst_p, mut worst_margin) = (0, 0.0f64, 0.0f64);
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let row = features(rows[columns[0].parse::<usize>().unwrap()]);
        let (p, wanted_margin): (f64, f64) = (columns[2].parse().unwrap(), columns[3].parse().unwrap());
        let margin = forest.margin(&row);
        worst_p = worst_p.max((f64::from(sigmoid(margin)) - p).abs());
        worst_margin = worst_margin.max((f64::from(margin) - wanted_margin).abs());
        let mut moved = [0.0; 17];
        assert_eq!(forest.explain(&row, &mut moved), margin);
        checked += 1;
    }
    assert_eq!(checked, 2_466);
    assert!(worst_p <= 1e-6, "probabilities differ by up to {worst_p}");
    // Printed with nine digits.
    assert!(worst_margin <= 1e-6, "margins differ by up to {worst_margin}");
}
