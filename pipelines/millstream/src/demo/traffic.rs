//! Plays the simulated shop against the collector.

use millstream_simulator::{GroundTruth, Request, RequestWriter, SimConfig, Simulator};

use crate::cli::DemoArgs;
use crate::demo::clock::DemoClock;
use crate::error::Failure;
use crate::progress::Progress;
use crate::sender::{Answer, Sender};

const DAY_MS: i64 = 86_400_000;
/// Events in a request.
const REQUEST_EVENTS: usize = 200;

/// What was sent.
pub struct Sent {
    /// Events, bad input included.
    pub events: u64,
    /// Requests that the collector refused as a whole (bad input that is no JSON).
    pub refused_requests: u64,
    /// Events that it refused, those of such requests included.
    pub refused_events: u64,
    /// The simulator's ground truth.
    pub truth: GroundTruth,
}

/// The simulation of the demo: it ends at the last midnight, so that live events can follow.
pub fn config(args: &DemoArgs, site: &str, now_ms: i64) -> SimConfig {
    let today_ms = now_ms - now_ms.rem_euclid(DAY_MS);
    SimConfig {
        people: args.people,
        days: args.days,
        seed: args.seed,
        start_ms: today_ms - i64::from(args.days) * DAY_MS,
        site: site.to_owned(),
        ..SimConfig::default()
    }
}

/// Sends everything, in the order of its arrival; the clock follows.
///
/// # Errors
/// Where the simulation cannot be played or the collector takes nothing.
pub fn play(config: SimConfig, clock: &DemoClock, sender: &Sender) -> Result<Sent, Failure> {
    let mut simulator = Simulator::new(config)?;
    let mut progress = Progress::of_share("simulating");
    let mut writer = RequestWriter::new(REQUEST_EVENTS);
    let mut events = 0u64;
    let (mut refused_requests, mut refused_events) = (0u64, 0u64);
    let mut send = |request: Request| -> Result<(), Failure> {
        clock.hold(request.arrives_ms);
        match sender.send(&request.body)? {
            Answer::Taken { refused } => refused_events += refused,
            Answer::Refused => {
                refused_requests += 1;
                refused_events += request.events as u64;
            }
        }
        Ok(())
    };
    while let Some(delivery) = simulator.next() {
        events += 1;
        if events.is_multiple_of(500) {
            let permille = simulator.progress_permille(delivery.arrives_ms);
            progress.at_permille(permille, &format!("of the days, {events} events sent"));
        }
        writer.push(&delivery, &mut send)?;
    }
    writer.finish(&mut send)?;
    progress.done(&format!("{events} events through the collector"));
    Ok(Sent { events, refused_requests, refused_events, truth: simulator.into_truth() })
}
