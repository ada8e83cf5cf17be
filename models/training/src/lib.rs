//! Makes models: rows from the real operators, calibration, evaluation, artefacts and cards.
//!
//! [`stages`] runs ingest and profile, as they are, over events and notes what each score was made from: the rows of training are the
//! decision points of scoring, by the same code. [`label`] says what happened afterwards, and what was before. [`rows`] keeps rows in
//! files, between which and `train.py` (XGBoost) goes; [`pack`] calibrates and judges what came back and makes the artefact, [`card`]
//! its description. [`rees46`] scores a real shop's events, without having learnt from them.

pub mod card;
pub mod label;
pub mod make;
pub mod pack;
pub mod rees46;
pub mod rows;
pub mod stages;

#[cfg(test)]
mod tests;
