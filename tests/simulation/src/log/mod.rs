//! The log as processes see it: the in-memory one behind a line on which calls can be slow, cut, or the last thing a process does.

mod member;
mod transport;

pub use transport::Line;
