//! What each attribution model credits to each channel, beside what truly caused the orders.

use std::collections::{BTreeMap, BTreeSet};
use std::num::ParseIntError;

use millstream_simulator::GroundTruth;
use millstream_warehouse::Warehouse;
use serde::Serialize;

use crate::error::Failure;

/// Models in the order in which they are shown.
const MODELS: [&str; 6] = ["first", "last", "last_non_direct", "linear", "time_decay", "position"];

/// One channel.
#[derive(Debug, Serialize)]
pub struct ChannelCredit {
    /// The channel; `none` where an order has no known touch. The truth's `base` would have been bought without any.
    pub channel: String,
    /// Revenue that the channel's touches truly caused, minor units; known of a simulation only.
    pub truth_minor: i64,
    /// Revenue that each model credits to it, before refunds, minor units.
    pub credited_minor: BTreeMap<String, i64>,
}

/// Reads the credits and puts the truth beside them.
///
/// # Errors
/// Where the query fails, or gives what is no sum.
pub fn read(warehouse: &Warehouse, truth: &GroundTruth) -> Result<Vec<ChannelCredit>, Failure> {
    let truth = caused(truth);
    let mut credited: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for row in
        warehouse.rows("select channel, model, sum(gross_minor) from attribution_current group by channel, model")?
    {
        if let [Some(channel), Some(model), Some(sum)] = row.as_slice() {
            let sum = sum.parse().map_err(|error: ParseIntError| {
                Failure::new(format!(
                    "attribution_current: what {model} credits to {channel} is {sum:?}, no sum: {error}"
                ))
            })?;
            credited.entry(channel.clone()).or_default().insert(model.clone(), sum);
        }
    }
    let channels: BTreeSet<String> =
        credited.keys().cloned().chain(truth.keys().map(|&name| name.to_owned())).collect();
    let mut all: Vec<ChannelCredit> = channels
        .into_iter()
        .map(|channel| ChannelCredit {
            truth_minor: truth.get(channel.as_str()).copied().unwrap_or(0),
            credited_minor: credited.remove(&channel).unwrap_or_default(),
            channel,
        })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.credited_minor.get("linear").copied().unwrap_or(0)));
    Ok(all)
}

/// The orders' amounts by what caused them.
fn caused(truth: &GroundTruth) -> BTreeMap<&'static str, i64> {
    let mut caused = BTreeMap::new();
    for order in &truth.orders {
        for (&channel, &ppm) in &order.caused_ppm {
            // An order is far below 2⁴³ minor units, a share at most 2²⁰.
            *caused.entry(channel).or_default() += order.amount_minor * i64::try_from(ppm).unwrap_or(0) / 1_000_000;
        }
    }
    caused
}

/// The table for people, in major units.
pub fn table(credits: &[ChannelCredit]) -> Vec<String> {
    if credits.iter().all(|one| one.credited_minor.is_empty()) {
        return Vec::new();
    }
    let cell = |minor: i64| format!("{:>17}", minor / 100);
    let models = MODELS.map(|model| format!("{model:>17}")).concat();
    let mut lines = vec![format!("  {:<16}{:>17}{models}", "revenue (EUR) of", "truth")];
    for one in credits {
        let by_model = MODELS.map(|model| cell(one.credited_minor.get(model).copied().unwrap_or(0))).concat();
        // What would have been bought without any touch.
        let name = if one.channel == "base" { "no channel" } else { &one.channel };
        lines.push(format!("  {name:<16}{}{by_model}", cell(one.truth_minor)));
    }
    lines
}
