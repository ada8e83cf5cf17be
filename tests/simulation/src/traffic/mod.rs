//! What clients send: a busy little shop in which everything that makes order matter happens often, and beside it the visitors of
//! the simulated one.

mod busy;

use millstream_simulator::{SimConfig, Simulator};

use crate::plan::{Hoard, Plan, SITE, START_MS};
use crate::random::Random;
use busy::Busy;

/// What must become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is processed; where it came later than the horizon, it is rejected for that.
    Processed,
    /// It is rejected.
    Rejected,
    /// What ingest says, for its sender does not know (consent may have been refused, a robot may be kept).
    Either,
}

/// One event on its way to the collector.
#[derive(Clone)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// Its JSON.
    pub json: Vec<u8>,
    /// How far its sender's clock is off; `None`: the batch does not say when it was sent.
    pub clock_off_ms: Option<i64>,
    /// What must become of it.
    pub expected: Expected,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { json, clock_off_ms, expected, .. } = self;
        write!(f, "{} (clock off by {clock_off_ms:?} ms, expected: {expected:?})", String::from_utf8_lossy(json))
    }
}

/// What makes an event so long that a partition fills several segments within a seed.
const BALLAST_BYTES: usize = 3_500;

/// All senders.
pub struct Traffic {
    busy: Busy,
    simulated: Option<Simulator>,
}

impl Traffic {
    /// The senders of a plan.
    pub fn new(plan: &Plan) -> Self {
        let config = SimConfig {
            people: plan.people.max(1),
            days: 2,
            seed: plan.seed,
            start_ms: START_MS,
            site: SITE.to_owned(),
            keep_truth: false,
            ..SimConfig::default()
        };
        let simulated = if plan.people > 0 { Simulator::new(config).ok() } else { None };
        // The log loses whole segments only: they must fill.
        let trimmed = plan.snapshots.is_some_and(|snapshots| snapshots.hoard == Hoard::Trimmed);
        Self { busy: Busy::new(if trimmed { BALLAST_BYTES } else { 0 }), simulated }
    }

    /// The next event, and when it reaches the collector at the earliest.
    pub fn next(&mut self, random: &mut Random, now_ms: i64) -> (Sent, i64) {
        if random.permille(250)
            && let Some(sent) = self.simulated_event()
        {
            return sent;
        }
        (self.busy.next(random, now_ms), now_ms)
    }

    /// The next of the simulated shop's that has an id: what is sent without one is another event each time it is sent again.
    fn simulated_event(&mut self) -> Option<(Sent, i64)> {
        let simulated = self.simulated.as_mut()?;
        loop {
            let delivery = simulated.next()?;
            let id = millstream_schemas::input::parse_envelope(&delivery.json).ok().and_then(|envelope| {
                let id = envelope.id?;
                (!id.is_empty()).then(|| id.into_owned())
            });
            let Some(id) = id else { continue };
            let clock_off_ms = Some(delivery.sent_at_ms - delivery.arrives_ms);
            return Some((
                Sent { id, json: delivery.json, clock_off_ms, expected: Expected::Either },
                delivery.arrives_ms,
            ));
        }
    }
}
