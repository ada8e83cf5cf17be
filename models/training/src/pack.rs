//! From trained forests to an artefact: checks them, calibrates, judges, and refuses what is no better than less.

use std::fs;
use std::io;
use std::path::Path;

use millstream_operators::propensity::History;
use millstream_scoring::artefact::{Artefact, FORMAT, ForestDocument, HeadDocument, Metrics, Training};
use millstream_scoring::calibration::{Calibration, CalibrationError, Raw};
use millstream_scoring::evaluation::{Evaluation, Outcome, evaluate};
use millstream_scoring::forest::{Forest, TreeError, sigmoid};
use millstream_scoring::xgboost::{self, XgboostError};
use millstream_scoring::{ArtefactError, FEATURE_COUNT, Features, Heuristic, Scorer};
use serde::Deserialize;

use crate::rows::{Description, Part, Row};

/// Why there is no artefact.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// XGBoost's model cannot be used.
    #[error("{question}: {error}")]
    Xgboost {
        /// Which question.
        question: &'static str,
        /// What is wrong.
        error: XgboostError,
    },
    /// Its trees cannot be used.
    #[error("{question}: {error}")]
    Trees {
        /// Which question.
        question: &'static str,
        /// What is wrong.
        error: TreeError,
    },
    /// Our scorer and XGBoost differ.
    #[error("{question}: row {row} is scored {ours} here and {theirs} by XGBoost; they may differ by {TOLERANCE}")]
    Differs {
        /// Which question.
        question: &'static str,
        /// Index of the row.
        row: usize,
        /// Our probability.
        ours: f32,
        /// XGBoost's.
        theirs: f32,
    },
    /// Nothing can be fitted or judged.
    #[error("{question}: {error}")]
    Calibration {
        /// Which question.
        question: &'static str,
        /// What is wrong.
        error: CalibrationError,
    },
    /// There is nothing to judge by.
    #[error("{question}: the {part} rows hold only one kind; simulate more people or days")]
    OneSided {
        /// Which question.
        question: &'static str,
        /// Which rows.
        part: &'static str,
    },
    /// It is no better than less.
    #[error("{question}: {measure} is {value:.4}, which does not beat {of} with {other:.4}")]
    NoBetter {
        /// Which question.
        question: &'static str,
        /// What was measured.
        measure: &'static str,
        /// The model's.
        value: f64,
        /// What it was compared with.
        of: &'static str,
        /// That one's.
        other: f64,
    },
    /// The artefact cannot be used.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
}

/// How far our probabilities may be from XGBoost's.
pub const TOLERANCE: f32 = 1e-6;

/// One of the two questions.
#[derive(Debug, Clone, Copy)]
struct Question {
    name: &'static str,
    target: &'static str,
    label: fn(&Row) -> Option<bool>,
    /// Whether the heuristic answers it.
    heuristic: bool,
}

const SESSION: Question = Question {
    name: "session",
    target: "an order later in the same session than the scored event",
    label: |row| Some(row.session),
    heuristic: true,
};
const WITHIN_7_DAYS: Question = Question {
    name: "within_7_days",
    target: "an order of the same person within 7 days after the scored event",
    label: |row| row.within_7_days,
    heuristic: false,
};

/// What `train.py` says of itself.
#[derive(Debug, Deserialize)]
struct Library {
    library: String,
    parameters: serde_json::Value,
}

/// How good scores are of sessions that have had so many events.
#[derive(Debug, Clone, PartialEq)]
pub struct ByEvents {
    /// Events seen.
    pub events: u32,
    /// The model.
    pub model: Evaluation,
    /// The heuristic on the same rows.
    pub heuristic: Evaluation,
}

/// The result: an artefact, and what the card says besides.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The model.
    pub artefact: Artefact,
    /// The session head by the events seen.
    pub by_events: Vec<ByEvents>,
}

/// Makes an artefact of rows and of the forests trained on them, which `train.py` left in `folder`.
///
/// # Errors
/// Where files are missing, our scorer and XGBoost differ, or the result does not beat the heuristic and the base rate.
pub fn pack(folder: &Path, version: &str, description: &Description, rows: &[Row]) -> Result<Packed, PackError> {
    let library: Library = serde_json::from_slice(&fs::read(folder.join("library.json"))?).map_err(io::Error::from)?;
    let (session, forest) = head(folder, SESSION, rows)?;
    let (week, _) = head(folder, WITHIN_7_DAYS, rows)?;
    let of = |part: Part| rows.iter().filter(|row| row.part == part).count() as u64;
    let (features, feature_schema_hash) = Artefact::current_features();
    let by_events = [1, 3, 5, 10].iter().filter_map(|&events| by_events(events, rows, &forest, &session.calibration));
    let by_events = by_events.collect();
    let artefact = Artefact {
        format: FORMAT.to_owned(),
        name: "propensity".to_owned(),
        version: version.to_owned(),
        calibration_version: format!("{version}.{}.{}", session.calibration.kind(), week.calibration.kind()),
        features,
        feature_schema_hash,
        session,
        within_7_days: Some(week),
        training: Training {
            traffic: description.traffic.clone(),
            seeds: description.seeds.clone(),
            evaluation_seeds: description.evaluation_seeds.clone(),
            people: description.people,
            days: description.days,
            rows: of(Part::Train),
            calibration_rows: of(Part::Calibrate) + of(Part::Select),
            evaluation_rows: of(Part::Evaluate),
            library: library.library,
            parameters: library.parameters,
        },
    };
    Ok(Packed { artefact, by_events })
}

fn head(folder: &Path, question: Question, rows: &[Row]) -> Result<(HeadDocument, Forest), PackError> {
    let name = question.name;
    let json = fs::read(folder.join(format!("{name}.model.json")))?;
    let mut trees = xgboost::trees(&json).map_err(|error| PackError::Xgboost { question: name, error })?;
    trees.features = FEATURE_COUNT;
    let forest = Forest::new(&trees).map_err(|error| PackError::Trees { question: name, error })?;
    compare(name, &forest, rows, &fs::read(folder.join(format!("{name}.p.f32")))?)?;

    let raw = |part: Part| -> Vec<Raw> {
        let of_part = rows.iter().filter(|row| row.part == part);
        let labelled = of_part.filter_map(|row| Some((row, (question.label)(row)?)));
        let scored = labelled.map(|(row, happened)| {
            let margin = forest.margin(&row.features.0);
            Raw { margin, p_raw: sigmoid(margin), happened }
        });
        scored.collect()
    };
    let fitted = Calibration::fit_best(&raw(Part::Calibrate), &raw(Part::Select));
    let (calibration, errors) = fitted.map_err(|error| PackError::Calibration { question: name, error })?;

    let judge = |p: &dyn Fn(&Features) -> f64| {
        let of_part = rows.iter().filter(|row| row.part == Part::Evaluate);
        let labelled = of_part.filter_map(|row| Some((row, (question.label)(row)?)));
        let outcomes: Vec<Outcome> =
            labelled.map(|(row, happened)| Outcome { p: p(&row.features), happened }).collect();
        evaluate(&outcomes).ok_or(PackError::OneSided { question: name, part: "evaluation" })
    };
    let model = judge(&|features| calibrated(&forest, &calibration, features))?;
    let without = judge(&|features| {
        let mut features = *features;
        History::fill(None, 0, &mut features);
        calibrated(&forest, &calibration, &features)
    })?;
    let heuristic = if question.heuristic { Some(judge(&|features| Heuristic.score(features).p)?) } else { None };
    beats(name, &model, heuristic.as_ref())?;
    let document = HeadDocument {
        target: question.target.to_owned(),
        forest: ForestDocument::from(&trees),
        calibration,
        calibration_ece: errors.map(|error| error.is_finite().then_some(error)),
        metrics: Metrics::from(&model),
        metrics_without_history: Some(Metrics::from(&without)),
        heuristic: heuristic.as_ref().map(Metrics::from),
    };
    Ok((document, forest))
}

fn calibrated(forest: &Forest, calibration: &Calibration, features: &Features) -> f64 {
    let margin = forest.margin(&features.0);
    calibration.apply(margin, sigmoid(margin))
}

/// What is shipped must be better than what needs no training.
fn beats(question: &'static str, model: &Evaluation, heuristic: Option<&Evaluation>) -> Result<(), PackError> {
    let no_better = |measure, value, of, other| Err(PackError::NoBetter { question, measure, value, of, other });
    if model.average_precision <= model.base_rate {
        return no_better("average precision", model.average_precision, "the base rate", model.base_rate);
    }
    if model.log_loss >= model.base_log_loss {
        return no_better("log-loss", model.log_loss, "the base rate", model.base_log_loss);
    }
    if let Some(heuristic) = heuristic {
        if model.auc <= heuristic.auc {
            return no_better("AUC", model.auc, "the heuristic", heuristic.auc);
        }
        if model.log_loss >= heuristic.log_loss {
            return no_better("log-loss", model.log_loss, "the heuristic", heuristic.log_loss);
        }
    }
    Ok(())
}

/// Our scorer against XGBoost, on every row.
fn compare(question: &'static str, forest: &Forest, rows: &[Row], theirs: &[u8]) -> Result<(), PackError> {
    let theirs: Vec<f32> = theirs.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if theirs.len() != rows.len() {
        let detail = format!("{question}.p.f32 has {} numbers for {} rows; train anew", theirs.len(), rows.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail).into());
    }
    for (index, (row, &theirs)) in rows.iter().zip(&theirs).enumerate() {
        let ours = sigmoid(forest.margin(&row.features.0));
        // Not a number is no agreement either.
        if (ours - theirs).abs().partial_cmp(&TOLERANCE).is_none_or(|order| order.is_gt()) {
            return Err(PackError::Differs { question, row: index, ours, theirs });
        }
    }
    Ok(())
}

fn by_events(events: u32, rows: &[Row], forest: &Forest, calibration: &Calibration) -> Option<ByEvents> {
    let seen = |row: &&Row| {
        row.part == Part::Evaluate && row.features.get(millstream_scoring::Feature::Events) == events as f32
    };
    let judge = |p: &dyn Fn(&Features) -> f64| {
        let outcome = |row: &Row| Outcome { p: p(&row.features), happened: row.session };
        evaluate(&rows.iter().filter(seen).map(outcome).collect::<Vec<_>>())
    };
    let model = judge(&|features| calibrated(forest, calibration, features))?;
    let heuristic = judge(&|features| Heuristic.score(features).p)?;
    Some(ByEvents { events, model, heuristic })
}
