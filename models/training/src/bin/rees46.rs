//! Scores the REES46 sample with a model and prints its AUC beside the reference's.
//!
//! `MILLSTREAM_DATA=… cargo run -p millstream-training --bin rees46 [artefact.json]`

#![allow(clippy::print_stdout, reason = "a command that reports")]

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;

use millstream_scoring::{Heuristic, Model, Scorer};
use millstream_training::rees46::{REFERENCE, SEEN, judge};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var("MILLSTREAM_DATA").map_err(|_| "MILLSTREAM_DATA names no folder of data sets")?;
    let path = PathBuf::from(folder).join("rees46_sample/2019-Oct_first17434.csv.gz");
    let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut csv = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut csv)?;
    let model = match std::env::args().nth(1) {
        Some(path) => Model::load(&std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?)?,
        None => Model::load(millstream_scoring::builtin::PROPENSITY)?,
    };
    let (ours, rules) = (judge(&csv, &model)?, judge(&csv, &Heuristic)?);
    println!(
        "sessions of REES46 that began at 02:37 or later; {} {} was not trained on them",
        model.model(),
        model.version()
    );
    println!("events  sessions  buyers  AUC    heuristic  trained there [95 %]");
    for (index, seen) in SEEN.iter().enumerate() {
        let (_, _, auc, [low, high]) = REFERENCE[index];
        let Some(found) = &ours[index] else { continue };
        let rules = rules[index].as_ref().map_or(f64::NAN, |rules| rules.auc);
        let buyers = (found.base_rate * found.rows as f64).round();
        let place = if found.auc < low {
            "below"
        } else if found.auc > high {
            "above"
        } else {
            "inside"
        };
        println!(
            "{seen:>6}  {:>8}  {buyers:>6}  {:.3}  {rules:.3}      {auc:.3} [{low:.3}, {high:.3}]  {place}",
            found.rows, found.auc
        );
    }
    Ok(())
}
