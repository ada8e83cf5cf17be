//! Artefacts that come with the program.

/// The propensity model; `models/cards` says what it is and what it is not.
pub const PROPENSITY: &[u8] = include_bytes!("../../artefacts/propensity-1.json");
