//! What is seen of the process, second by second.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream_benches::system::System;

use crate::load::{Counts, Phases};
use crate::{second, sleep_until};

/// Seconds between two lines of the table.
const LINE_EVERY: usize = 5;

const LAG: &str = "millstream_deliver_lag_records";

/// One second.
pub struct Sample {
    second: u64,
    phase: &'static str,
    /// Since the start.
    acknowledged: u64,
    refused: u64,
    pub resident_bytes: Option<u64>,
    /// Offsets that are in the log and not in the warehouse, as the process says.
    lag: Option<u64>,
    sink_up: Option<u64>,
    buffered_bytes: Option<u64>,
}

/// Samples every second until `over` is set.
pub fn take(system: &System, counts: &Counts, phases: &Phases, started: Instant, over: &AtomicBool) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    while !over.load(Ordering::Acquire) {
        let metrics = metrics(system);
        let sum = |name: &str| metrics.as_deref().and_then(|text| sum_of(text, name));
        let second = second(started);
        samples.push(Sample {
            second,
            phase: phases.name(second),
            acknowledged: counts.acknowledged(),
            refused: counts.of(429) + counts.of(503) + counts.of(0),
            resident_bytes: system.resident_bytes(),
            lag: sum(LAG),
            sink_up: sum("millstream_deliver_sink_up"),
            buffered_bytes: sum("millstream_deliver_buffered_bytes"),
        });
        sleep_until(started + Duration::from_secs(second + 1));
    }
    samples
}

/// Offsets that are in the log and not in the warehouse, as the process says.
pub fn lag(system: &System) -> Option<u64> {
    sum_of(&metrics(system)?, LAG)
}

fn metrics(system: &System) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    agent.get(format!("{}/metrics", system.admin_url)).call().ok()?.body_mut().read_to_string().ok()
}

/// All values of a metric, added up.
fn sum_of(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    });
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() as u64)
}

/// Some of them, as a table.
pub fn table(samples: &[Sample]) -> String {
    let mut table = String::from(
        "| s | phase | acknowledged/s | refused/s | resident MiB | deliver buffers MiB | lag | warehouse |\n",
    );
    table.push_str("|---|---|---|---|---|---|---|---|\n");
    for pair in samples.iter().step_by(LINE_EVERY).collect::<Vec<_>>().windows(2) {
        let [before, now] = pair else { continue };
        let seconds = (now.second - before.second).max(1);
        let shown = |value: Option<u64>| value.map_or("–".to_owned(), |value| value.to_string());
        let mib = |bytes: Option<u64>| shown(bytes.map(|bytes| bytes >> 20));
        let warehouse = match now.sink_up {
            Some(0) => "down",
            Some(_) => "up",
            None => "–",
        };
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {warehouse} |",
            now.second,
            now.phase,
            (now.acknowledged - before.acknowledged) / seconds,
            (now.refused - before.refused) / seconds,
            mib(now.resident_bytes),
            mib(now.buffered_bytes),
            shown(now.lag),
        )
        .expect("a string takes it");
    }
    table
}
