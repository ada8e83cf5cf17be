//! The ingest stage from outside: records in, records out.

mod bad_input;
mod consent;
mod data;
mod harness;
mod identity;
mod orders;
mod promises;
mod settings;
mod time;
