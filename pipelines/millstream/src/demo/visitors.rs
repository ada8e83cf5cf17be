//! After the summary the demo's shop stays open: other visitors, simulated, in real time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_runtime::{Clock, SystemClock};
use millstream_simulator::{RequestWriter, SimConfig, Simulator};

use crate::error::Failure;
use crate::sender::Sender;

const HOUR_MS: i64 = 3_600_000;
/// People of the shop; in the evening they make two or three events a second.
const PEOPLE: u32 = 25_000;
/// They come as if it were this hour when the page opens: the simulation's nights are quiet.
const FIRST_HOUR: i64 = 18;
const DAYS: u32 = 30;
/// Keeps their ids apart from those of the demo's own simulation.
const SEED_OFFSET: u64 = 0x6c69_7665;

/// Sends what other visitors do, when they do it, until `stop` is set. Their clocks are hours off; ingest corrects that by what they
/// say they sent.
///
/// # Errors
/// Where the simulation cannot be played or the collector takes nothing.
pub fn come_by(seed: u64, sender: &Sender, stop: &AtomicBool) -> Result<(), Failure> {
    let config = SimConfig {
        people: PEOPLE,
        days: DAYS,
        seed: seed.wrapping_add(SEED_OFFSET),
        keep_truth: false,
        ..SimConfig::default()
    };
    let opening_ms = config.start_ms + FIRST_HOUR * HOUR_MS;
    let clock = SystemClock::new();
    let simulator = Simulator::new(config)?;
    let mut writer = RequestWriter::new(1);
    for delivery in simulator {
        let due = Duration::from_millis(u64::try_from(delivery.arrives_ms - opening_ms).unwrap_or(0));
        while clock.monotonic() < due && !stop.load(Ordering::Acquire) {
            std::thread::sleep((due - clock.monotonic().min(due)).min(Duration::from_millis(50)));
        }
        if stop.load(Ordering::Acquire) {
            return Ok(());
        }
        if delivery.arrives_ms < opening_ms {
            continue;
        }
        let mut send = |request: millstream_simulator::Request| sender.send(&request.body).map(drop);
        writer.push(&delivery, &mut send)?;
        writer.finish(&mut send)?;
    }
    Ok(())
}
