//! What a person has bought and given back, as the orders' own partitions tell it.
//!
//! Orders are unique by (site, order id) and live in the partition of their id (see [`orders`](crate::orders)). Whatever changes there
//! is told to the person's partition as an `order_fact`: the order as it stands, with the refunds that name it; a refund that names
//! none; that either is no longer this person's. Facts are whole states, not increments: the last one of an order holds, so that
//! nothing here depends on how partitions interleave. Churn, CLV and attribution are functions of this state.

pub mod state;

pub use state::{Bought, BoughtLine, Buyer, Past, Returned, ReturnedLine};
