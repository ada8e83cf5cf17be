//! Which visits led to an order: credits by six models side by side.
//!
//! A *touch* is a visit with a page, at its start and with its channel, or an offline touch (a call, a letter, a visit to a branch).
//! Direct visits are touches too. A person's path to an order is what all of its sources have of them, and those that name the order
//! itself, at or before the order and within the lookback, sorted by time and id; one that repeats is one. Each model divides the
//! order over its path: **first**, **last**, **last_non_direct** (the last whose channel says where the visit came from; where none
//! does, the last), **linear**, **time_decay** (half as much for each half-life of age), **position** (40 % the first, 40 % the last,
//! 20 % those between; two halve it). Revenue, refunds, cost and reporting amount are each divided by largest remainder, so that under
//! every model the credits add up to the order exactly. An order without a touch has one credit a model, to channel `none`.
//!
//! Credits are a function of the touches and of what [`buyer`](crate::buyer) knows of the orders, computed before and after each record
//! that may change either; the difference is emitted, and what ceased is retracted. So late touches, merges, refunds and changes of
//! owner need no case of their own.
//!
//! Touches of sessions that can still be amended are read from them. When a session is freed, its touch goes into [`Touches`], packed.
//! A touch stays for lookback and horizon, and as long as an order that it led to can be refunded: a refund after months divides as
//! the order was divided. What may go when there are too many stands in [`limits`](crate::core::limits).
//!
//! Needs the purpose *analytics*, of each touch and of the order: without it a touch is in no path and an order has no credits.
//!
//! State: [`touch`], [`touches`]. A person's touches as they stand: [`ledger`]. Models: [`model`]. Division: [`share`]. Credits:
//! [`credit`]. Records: [`outputs`].

pub mod credit;
pub mod decay;
pub mod ledger;
pub mod model;
pub mod outputs;
pub mod share;
pub mod touch;
pub mod touches;

#[cfg(test)]
mod tests;

pub use credit::{Credit, credits, credits_of};
pub use ledger::{Ledger, may_revise};
pub use model::Model;
pub use outputs::{Owner, emit_difference, emit_order_changes, emit_touch_changes};
pub use touch::{Touch, TouchKind, offline_touch_id, order_key};
pub use touches::Touches;

use crate::site::SiteConfig;

/// By what the time-decay model halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfLife {
    /// By age, milliseconds.
    Ms(i64),
    /// By so many later touches.
    Touches(u32),
}

/// What decides a path and its credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long before an order a touch counts, milliseconds.
    pub lookback_ms: i64,
    /// Time decay.
    pub half_life: HalfLife,
    /// How late an event may come, milliseconds.
    pub horizon_ms: i64,
}

impl Rules {
    /// A shop's rules.
    pub fn of(site: &SiteConfig) -> Self {
        let half_life = match site.attribution_half_life_touches {
            0 => HalfLife::Ms(site.attribution_half_life_ms),
            touches => HalfLife::Touches(touches),
        };
        Self { lookback_ms: site.attribution_lookback_ms, half_life, horizon_ms: site.horizon_ms }
    }
}
