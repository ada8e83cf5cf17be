//! The simulation itself: sessions in the order in which they begin, events in the order in which they arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec::IntoIter;

use crate::channel::Channel;
use crate::config::{ConfigError, DAY_MS, HOUR_MS, SimConfig};
use crate::content::{CURRENCY, Made, server_event};
use crate::delivery::{Delivery, Queued};
use crate::noise::{self, Way};
use crate::person::PersonState;
use crate::random::{Random, hash};
use crate::schedule::{self, Planned};
use crate::session;
use crate::truth::GroundTruth;

const DAY: u64 = 0x0064_6179;
const SENDING: u64 = 0x7365_6e64;

/// A simulated shop: an iterator over its events in the order in which they reach the collector. Nothing is made before it is asked
/// for.
#[derive(Debug)]
pub struct Simulator {
    config: SimConfig,
    states: Vec<PersonState>,
    /// The day that is being played.
    day: u16,
    planned: std::iter::Peekable<IntoIter<Planned>>,
    queue: BinaryHeap<Reverse<Queued>>,
    /// Deliveries made.
    made: u64,
    truth: GroundTruth,
}

impl Simulator {
    /// A shop before its first day. Errors where the configuration cannot be played.
    pub fn new(config: SimConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let mut simulator = Self {
            states: vec![PersonState::default(); config.people as usize],
            day: 0,
            planned: Vec::new().into_iter().peekable(),
            queue: BinaryHeap::new(),
            made: 0,
            truth: GroundTruth::new(),
            config,
        };
        simulator.begin_day();
        Ok(simulator)
    }

    /// What is being simulated.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// The truth of what has been played so far; complete once the iterator has ended. A session is in it as soon as it has begun.
    pub fn truth(&self) -> &GroundTruth {
        &self.truth
    }

    /// The truth, without the simulator.
    pub fn into_truth(self) -> GroundTruth {
        self.truth
    }

    /// How much of the simulated time is over at `time_ms`, in thousandths: for a progress bar.
    pub fn progress_permille(&self, time_ms: i64) -> u64 {
        let whole = i64::from(self.config.days) * DAY_MS;
        u64::try_from((time_ms - self.config.start_ms) * 1_000 / whole).unwrap_or(0).min(1_000)
    }

    fn end_ms(&self) -> i64 {
        self.config.start_ms + i64::from(self.config.days) * DAY_MS
    }

    /// Plans the sessions of the day that begins, robots among them, and tells what advertising costs.
    fn begin_day(&mut self) {
        let midnight_ms = self.config.start_ms + i64::from(self.day) * DAY_MS;
        let mut planned = schedule::day(&self.config, self.day);
        let mut random = Random::of(&[self.config.seed, DAY, u64::from(self.day)]);
        for robot in 0..noise::robots(&self.config) {
            let start_ms = midnight_ms + random.below(20 * HOUR_MS as u64) as i64;
            planned.push(Planned { start_ms, person: self.config.people.saturating_add(robot) });
        }
        planned.sort_unstable();
        self.planned = planned.into_iter().peekable();
        for channel in Channel::ALL {
            let amount_minor = (channel.facts().daily_spend_minor * u64::from(self.config.people) / 1_000) as i64;
            if amount_minor > 0 {
                let id = hash(&[self.config.seed, DAY, u64::from(self.day), channel.index() as u64]);
                let made = server_event(id, "spend", midnight_ms, |o| {
                    o.object("spend", |o| {
                        o.text("channel", channel.name());
                        o.money("amount", amount_minor);
                        o.text("currency", CURRENCY);
                    });
                });
                self.send(made, 0, false);
            }
        }
    }

    fn play(&mut self, planned: Planned) {
        if let Some(robot) = planned.person.checked_sub(self.config.people) {
            let (events, declared) = noise::robot(&self.config, robot, planned.start_ms);
            for made in events {
                self.send(made, 0, declared);
            }
            return;
        }
        let Some(state) = self.states.get_mut(planned.person as usize) else { return };
        let played = session::play(&self.config, planned, self.day, state);
        let totals = &mut self.truth.totals;
        totals.sessions += 1;
        totals.buying_sessions += u64::from(played.truth.bought);
        if played.consent_refused {
            totals.consent_refused += played.events.len() as u64;
        }
        if let Some((order, refund)) = played.order {
            totals.orders += 1;
            totals.order_amount_minor += order.amount_minor;
            if let Some(refund) = refund.filter(|refund| refund.event.time_ms < self.end_ms()) {
                self.truth.totals.refunds += 1;
                self.truth.totals.refund_amount_minor += refund.amount_minor;
                self.send(refund.event, 0, false);
            }
            if self.config.keep_truth {
                self.truth.orders.push(order);
            }
        }
        if self.config.keep_truth {
            self.truth.sessions.push(played.truth);
        }
        for made in played.events {
            self.send(made, played.device.clock_off_ms, false);
        }
    }

    /// Puts an event on its way, and what comes with it.
    fn send(&mut self, made: Made, clock_off_ms: i64, declared_robot: bool) {
        let mut random = Random::of(&[self.config.seed, SENDING, self.made]);
        let totals = &mut self.truth.totals;
        if declared_robot {
            totals.declared_bot_events += 1;
        } else {
            *totals.events.entry(made.event_type).or_default() += 1;
        }
        let (delivery, way) = noise::send(&self.config, made, clock_off_ms, &mut random);
        totals.late += u64::from(way == Way::Late);
        totals.out_of_order += u64::from(way == Way::OutOfOrder);
        if let Some((bad, reason)) = noise::bad_input(&self.config, &delivery, &mut random) {
            *totals.bad_input.entry(reason).or_default() += 1;
            self.queue(bad);
        }
        if let Some(again) = noise::duplicate(&self.config, &delivery, &mut random) {
            self.truth.totals.duplicates += 1;
            self.queue(again);
        }
        self.queue(delivery);
    }

    fn queue(&mut self, delivery: Delivery) {
        self.queue.push(Reverse(Queued { delivery, number: self.made }));
        self.made += 1;
    }

    /// When the next session begins; plans further days until there is one.
    fn next_start_ms(&mut self) -> Option<i64> {
        loop {
            if let Some(planned) = self.planned.peek() {
                return Some(planned.start_ms);
            }
            if u32::from(self.day) + 1 >= self.config.days {
                return None;
            }
            self.day += 1;
            self.begin_day();
        }
    }
}

impl Iterator for Simulator {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            // An event arrives after it happened, so nothing that a later session sends can arrive before that session begins.
            let start_ms = self.next_start_ms();
            let arrives_ms = self.queue.peek().map(|Reverse(queued)| queued.delivery.arrives_ms);
            match (start_ms, arrives_ms) {
                (Some(start_ms), Some(arrives_ms)) if arrives_ms < start_ms => break,
                (Some(_), _) => {
                    if let Some(planned) = self.planned.next() {
                        self.play(planned);
                    }
                }
                (None, _) => break,
            }
        }
        self.queue.pop().map(|Reverse(queued)| queued.delivery)
    }
}
