//! The stage against its promises.

mod convergence;
mod data;
mod promotions;
mod records;
mod world;
