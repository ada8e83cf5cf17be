//! From entries to matches: the orders operator tells, buyers listen, a naive oracle says what must come out.

mod bounds;
mod matches;
mod moves;
mod online_retail;
mod world;
