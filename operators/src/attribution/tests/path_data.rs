//! On 10,000 public paths found through `MILLSTREAM_DATA` (`channel_attribution/PathData.csv.gz`, of the R package ChannelAttribution):
//! every column of the field's rule-based models, through sessions, folding, facts and records.

use std::collections::BTreeMap;
use std::io::Read;

use millstream_schemas::Event;

use super::*;
use crate::attribution::emit_order_changes;
use crate::core::EventKind;
use crate::sessions::{self, Changes, Seen, SourceSessions};
use crate::testing::{SOURCE, context};

/// Channel, then conversions by first, last, linear, position and time decay (a half-life of one touch).
const GOLDEN: [(&str, [f64; 5]); 12] = [
    ("alpha", [6308.0, 8447.0, 7574.7186, 7444.8238, 8046.6281]),
    ("iota", [4606.0, 3355.0, 3857.0962, 3944.9482, 3522.4508]),
    ("eta", [3164.0, 4167.0, 3539.9512, 3618.7961, 3796.2519]),
    ("beta", [2831.0, 989.0, 2083.5001, 1969.7662, 1599.3883]),
    ("theta", [1606.0, 653.0, 1022.8014, 1092.7445, 864.8724]),
    ("lambda", [902.0, 1207.0, 1035.2576, 1046.9039, 1126.5053]),
    ("epsilon", [99.0, 531.0, 272.1704, 301.0502, 402.6826]),
    ("zeta", [27.0, 107.0, 136.5515, 88.6229, 128.4505]),
    ("kappa", [74.0, 230.0, 137.9641, 147.4596, 186.4278]),
    ("gamma", [165.0, 92.0, 121.0416, 125.2409, 105.8855]),
    ("delta", [1.0, 5.0, 1.7250, 2.5867, 2.9558]),
    ("mi", [2.0, 2.0, 2.2222, 2.0571, 2.5010]),
];
const MODELS: [&str; 5] = ["first", "last", "linear", "position", "time_decay"];
/// A conversion in minor units. Of a path of n touches a share is off by less than one unit each; over 48,704 touches that stays below
/// 5·10⁻⁸ conversions, a thousandth of the last digit printed. The largest path has 4,197 conversions: 4.2·10¹⁵ units.
const CONVERSION: i64 = 1_000_000_000_000;

#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test's data")]
fn paths(test: &str) -> Option<Vec<(Vec<String>, i64)>> {
    let file = std::env::var("MILLSTREAM_DATA").ok().map(|folder| folder + "/channel_attribution/PathData.csv.gz");
    let Some(bytes) = file.and_then(|file| std::fs::read(file).ok()) else {
        let reason = format!("{test}: MILLSTREAM_DATA has no channel_attribution/PathData.csv.gz");
        std::io::Write::write_all(&mut std::io::stderr(), format!("skipped {reason}\n").as_bytes()).unwrap();
        if let Ok(log) = std::env::var("MILLSTREAM_SKIP_LOG") {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
            std::io::Write::write_all(&mut log, format!("{reason}\n").as_bytes()).unwrap();
        }
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split(',').collect();
        (columns[0].split(" > ").map(str::to_owned).collect(), columns[1].parse().unwrap())
    });
    Some(rows.collect())
}

/// The credits of one path, one visit a day, in conversions of `CONVERSION` units by model and channel.
fn credit(channels: &[String], conversions: i64, sums: &mut BTreeMap<(String, String), i64>) {
    let session_rules = sessions::Rules { gap_ms: HOUR_MS, horizon_ms: DAY_MS, by_tracker: false, by_campaign: false };
    let (mut held, mut touches) = (SourceSessions::default(), Touches::default());
    for (day, channel) in channels.iter().enumerate() {
        let event_id = format!("visit-{day}");
        let event = Event {
            site: "shop",
            event_id: &event_id,
            event_type: "page_view",
            event_time: day as i64 * DAY_MS,
            consent: 3,
            channel,
            ..Event::default()
        };
        let order = EventOrder::new(event.event_time, None, &event_id);
        let seen = Seen { event: &event, order, kind: EventKind::PageView, source: SOURCE };
        sessions::on_event(&mut held, &seen, &session_rules, 0, &mut Changes::default());
        // As time passes: a visit is freed when three later ones are there.
        if held.list.len() > 3 {
            let freed = [held.list.remove(0)];
            touches.fold(&freed);
        }
    }
    let rules = Rules { half_life: HalfLife::Touches(1), ..rules() };
    let ordered_at_ms = (channels.len() as i64 - 1) * DAY_MS + HOUR_MS;
    let (mut buyer, mut out) = (Buyer::default(), Recorder::default());
    let changed = tell(&mut buyer, &fact("o", ordered_at_ms, conversions * CONVERSION, 0));
    let ledger = Ledger::of([(&held, &touches)], &Touches::default());
    let cx = context(1, 0, ordered_at_ms, "o");
    emit_order_changes(&changed, &buyer, &ledger, &OWNER, &rules, &cx, &mut out);
    for row in &out.rows {
        let row: Attribution<'_> = decode(&row.body);
        *sums.entry((row.model.to_owned(), row.channel.to_owned())).or_default() += row.credited_minor;
    }
}

#[test]
fn path_data_has_the_fields_numbers() {
    let Some(paths) = paths("path_data_has_the_fields_numbers") else { return };
    assert_eq!(paths.len(), 10_000);
    let mut sums = BTreeMap::new();
    for (channels, conversions) in paths.iter().filter(|(_, conversions)| *conversions > 0) {
        credit(channels, *conversions, &mut sums);
    }
    for (channel, golden) in GOLDEN {
        for (model, golden) in MODELS.iter().zip(golden) {
            let found = sums[&((*model).to_owned(), channel.to_owned())] as f64 / CONVERSION as f64;
            assert_eq!(format!("{found:.4}"), format!("{golden:.4}"), "{model} of {channel}: {found}");
        }
    }
    for model in MODELS.iter().chain([&"last_non_direct"]) {
        let all: i64 = sums.iter().filter(|((of, _), _)| of == model).map(|(_, sum)| sum).sum();
        assert_eq!(all, 19_785 * CONVERSION, "{model} adds up");
    }
}
