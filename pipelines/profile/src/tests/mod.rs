//! The stage against its promises.

mod convergence;
mod records;
mod world;
