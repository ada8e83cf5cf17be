//! What nobody knows of a real shop.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::channel::Channel;

/// A session as it truly was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionTruth {
    /// The tracker's session id.
    pub session: String,
    /// The device.
    pub device: String,
    /// Number of the person.
    pub person: u32,
    /// When it began (true time), milliseconds since the epoch.
    pub start_ms: i64,
    /// What brought it.
    pub channel: &'static str,
    /// The chance that it buys, as it was when it began, parts per million.
    pub buys_ppm: u64,
    /// Whether it did.
    pub bought: bool,
}

/// An order as it truly came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderTruth {
    /// The order.
    pub order: String,
    /// The session that placed it.
    pub session: String,
    /// Number of the person.
    pub person: u32,
    /// When (true time), milliseconds since the epoch.
    pub time_ms: i64,
    /// Its amount, minor units.
    pub amount_minor: i64,
    /// Which part of the chance to buy each channel's touches made, parts per million; `base` is what would have been without any.
    /// They add up to a million.
    pub caused_ppm: BTreeMap<&'static str, u64>,
}

/// What was sent, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events of people, the shop's servers and undeclared robots, by type, each counted once.
    pub events: BTreeMap<&'static str, u64>,
    /// Events sent a second time, byte for byte.
    pub duplicates: u64,
    /// Events of robots that say so (they are not among `events`).
    pub declared_bot_events: u64,
    /// Bad input (not among `events`), by the reason for which it must be refused.
    pub bad_input: BTreeMap<&'static str, u64>,
    /// Events that came hours late, within a day.
    pub late: u64,
    /// Events that were overtaken, by at most five seconds.
    pub out_of_order: u64,
    /// Events of devices on which consent was refused.
    pub consent_refused: u64,
    /// Sessions of people.
    pub sessions: u64,
    /// Those that bought.
    pub buying_sessions: u64,
    /// Orders.
    pub orders: u64,
    /// What they amount to, minor units.
    pub order_amount_minor: i64,
    /// Refunds sent.
    pub refunds: u64,
    /// What they amount to, minor units.
    pub refund_amount_minor: i64,
}

/// The ground truth of a simulation, as far as it has been played.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroundTruth {
    /// Counts of everything.
    pub totals: Totals,
    /// How much a touch of each channel raises the chance to buy, in thousandths of the person's own.
    pub channel_lift_permille: BTreeMap<&'static str, u64>,
    /// Sessions in the order in which they began; empty where they are not kept.
    pub sessions: Vec<SessionTruth>,
    /// Orders by the sessions that placed them; empty where they are not kept.
    pub orders: Vec<OrderTruth>,
}

impl GroundTruth {
    pub(crate) fn new() -> Self {
        let lifts = Channel::ALL.into_iter().map(|channel| (channel.name(), channel.facts().lift_permille)).collect();
        Self { channel_lift_permille: lifts, ..Self::default() }
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Splits a million by the lifts (thousandths) that made an order more likely.
pub(crate) fn caused_ppm(lifts: &[u64; 7]) -> BTreeMap<&'static str, u64> {
    let whole = 1_000 + lifts.iter().sum::<u64>();
    let mut caused = BTreeMap::new();
    let mut left = 1_000_000;
    for (channel, lift) in Channel::ALL.into_iter().zip(lifts).filter(|(_, lift)| **lift > 0) {
        let part = 1_000_000 * lift / whole;
        left -= part;
        caused.insert(channel.name(), part);
    }
    caused.insert("base", left);
    caused
}
