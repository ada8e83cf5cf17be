//! What a person has bought and given back, as the orders' own partitions tell it.
//!
//! Orders are unique by (site, order id) and live in the partition of their id (see [`orders`](crate::orders)). Whatever changes there
//! is told to the person's partition as an `order_fact`: the order as it stands, with the refunds that name it; a refund that names
//! none; that either is no longer this person's. Facts are whole states, not increments: the last one of an order holds, so that
//! nothing here depends on how partitions interleave. Churn, CLV and attribution are functions of this state.
//!
//! A refund that names no order is matched to the person's orders here, newest first (`matching`); each of its lines is a
//! `refund_match` with what was matched and what was posted unmatched. What is older than can be revised goes into a summary
//! ([`fold`]); so does what exceeds the limits, the oldest first.
//!
//! Nothing of this is handed over between persons: the orders' partitions tell the new person.
//!
//! State: [`state`]. Facts: [`apply`], which says what they [`changed`]. Records: [`outputs`].

pub mod apply;
pub mod changed;
pub mod codec;
pub mod fold;
mod matching;
pub mod outputs;
pub mod state;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use changed::Changed;
pub use fold::{Folded, fold};
pub use outputs::{Owner, emit_matches};
pub use state::{Bought, BoughtLine, Buyer, Match, Past, PastScored, Returned, ReturnedLine};
