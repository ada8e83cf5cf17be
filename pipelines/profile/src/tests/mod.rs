//! The stage against its promises.

mod convergence;
mod data;
mod records;
mod world;
