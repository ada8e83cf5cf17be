//! One file a command.

pub mod as_of;
pub mod check;
pub mod dead_letters;
pub mod demo;
pub mod drain;
pub mod generate;
pub mod import;
pub mod migrate;
pub mod models;
pub mod query;
pub mod replay;
pub mod run;
pub mod topics;
pub mod verify;
