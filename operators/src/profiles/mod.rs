//! One person in one row: who it is, what it did and what it is worth.
//!
//! A profile is a function of the person's closed sessions (those folded into [`visits`](crate::visits) and those still held), orders
//! and refunds ([`buyer`](crate::buyer)), user id and tiers. It is emitted when any of these has changed: a session closed, a closed
//! one was amended, re-opened or ceased, an order's partition told of something, a source came or went, a tier changed; never for an
//! ordinary event. A person without closed session and order has no profile; where there was one, it is retracted.
//!
//! Every revision goes to `profiles`, the latest of each person also to the compacted `profiles.latest`, where a tombstone follows the
//! retraction. Sources and orders too old to be kept leave a profile as it was last emitted.
//!
//! Sessions are in it with the purpose *analytics*, orders with *necessary*. It needs no state and no timer of its own.

pub mod outputs;
pub mod state;

#[cfg(test)]
mod tests;

pub use outputs::emit;
pub use state::Figures;
