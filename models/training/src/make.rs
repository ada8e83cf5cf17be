//! Rows from the simulated shop.

use millstream_schemas::{Collected, Id};
use millstream_scoring::FEATURES;
use millstream_simulator::{ConfigError, SimConfig, Simulator, TRAINING_SEEDS};

use crate::label::{Gathered, Labelled, Tracker};
use crate::rows::{Description, Part, Row};
use crate::stages::Stages;

/// What is simulated for training.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seeds for training and calibration; the last third of them is of a shop that sends only product views, cart and purchases.
    pub seeds: Vec<u64>,
    /// Seeds for evaluation.
    pub evaluation_seeds: Vec<u64>,
    /// People for each seed.
    pub people: u32,
    /// Days for each seed.
    pub days: u32,
}

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A seed outside the reserved range would be trained on.
    #[error("seed {0} is not reserved for training; take one of {start} to {end}", start = TRAINING_SEEDS.start(), end = TRAINING_SEEDS.end())]
    Seed(u64),
    /// One seed would be trained and evaluated on.
    #[error("seed {0} is for training and for evaluation: metrics would flatter")]
    Both(u64),
    /// The simulation cannot be played.
    #[error(transparent)]
    Simulation(#[from] ConfigError),
}

impl Plan {
    /// Six seeds to learn from and two to be judged by, 4,000 people for four weeks each.
    pub fn standard() -> Self {
        let first = *TRAINING_SEEDS.start();
        Self {
            seeds: (first..first + 6).collect(),
            evaluation_seeds: vec![first + 900, first + 901],
            people: 4_000,
            days: 28,
        }
    }

    fn tracker(&self, index: usize) -> Tracker {
        if index >= self.seeds.len() - self.seeds.len() / 3 { Tracker::CatalogueOnly } else { Tracker::Full }
    }
}

/// Part of the time, in hundredths, that training rows are of; calibration rows are of the rest.
const TRAINED_PERCENT: i64 = 60;
/// Sources of every hundred whose history is hidden in training, so that the model knows the case.
const HIDDEN_PERCENT: u128 = 30;

/// Simulates a seed and labels every decision.
///
/// # Errors
/// Where the simulation cannot be played.
pub fn labelled(seed: u64, people: u32, days: u32, tracker: Tracker) -> Result<Vec<Labelled>, ConfigError> {
    let config = SimConfig { seed, people, days, keep_truth: false, ..SimConfig::default() };
    let end_ms = config.start_ms + i64::from(days) * 86_400_000;
    let site = config.site.clone();
    let mut stages = Stages::new();
    let mut gathered = Gathered::new(tracker);
    for delivery in Simulator::new(config)? {
        let collected = Collected {
            site: &site,
            origin: "http",
            received_at: delivery.arrives_ms,
            sent_at: Some(delivery.sent_at_ms),
            payload: &delivery.json,
            ..Collected::default()
        };
        stages.collect(&collected, &mut gathered);
    }
    Ok(gathered.label(end_ms))
}

/// Simulates the whole plan. `said` is told of each seed that is done: the seed, its rows and how many of them bought.
///
/// # Errors
/// Where a seed is not reserved, or the simulation cannot be played.
pub fn rows(plan: &Plan, mut said: impl FnMut(u64, &[Row])) -> Result<(Description, Vec<Row>), MakeError> {
    let start_ms = SimConfig::default().start_ms;
    let cut_ms = start_ms + i64::from(plan.days) * 86_400_000 * TRAINED_PERCENT / 100;
    let mut rows = Vec::new();
    let trackers = (0..plan.seeds.len()).map(|index| plan.tracker(index));
    let learnt = plan.seeds.iter().zip(trackers).map(|(&seed, tracker)| (seed, tracker, false));
    let judged = plan.evaluation_seeds.iter().map(|&seed| (seed, Tracker::Full, true));
    for (seed, tracker, evaluate) in learnt.chain(judged) {
        if !TRAINING_SEEDS.contains(&seed) {
            return Err(MakeError::Seed(seed));
        }
        if evaluate && plan.seeds.contains(&seed) {
            return Err(MakeError::Both(seed));
        }
        let before = rows.len();
        for decision in labelled(seed, plan.people, plan.days, tracker)? {
            let Some(part) = (if evaluate { Some(Part::Evaluate) } else { part(&decision, cut_ms) }) else { continue };
            let mut features = decision.features;
            if part != Part::Evaluate && of_hundred(decision.source, b"hidden") < HIDDEN_PERCENT {
                millstream_operators::propensity::History::fill(None, 0, &mut features);
            }
            rows.push(Row { features, session: decision.session, within_7_days: decision.within_7_days, part });
        }
        said(seed, rows.get(before..).unwrap_or_default());
    }
    let description = Description {
        features: FEATURES.iter().map(|spec| spec.name.to_owned()).collect(),
        rows: rows.len(),
        traffic: format!(
            "simulated shop (pipelines/simulator), every decision point of the real operators; seeds from the {} on: only product views, cart and purchases",
            ordinal(plan)
        ),
        seeds: plan.seeds.clone(),
        evaluation_seeds: plan.evaluation_seeds.clone(),
        people: plan.people,
        days: plan.days,
    };
    Ok((description, rows))
}

fn ordinal(plan: &Plan) -> String {
    let first = (0..plan.seeds.len()).position(|index| plan.tracker(index) == Tracker::CatalogueOnly);
    first.and_then(|index| plan.seeds.get(index)).map_or("none".to_owned(), u64::to_string)
}

/// What a decision is for: four of five persons train, before the cut; the others calibrate, after it.
fn part(decision: &Labelled, cut_ms: i64) -> Option<Part> {
    match (of_hundred(decision.person, b"part"), decision.time_ms < cut_ms) {
        (0..80, true) => Some(Part::Train),
        (80..90, false) => Some(Part::Calibrate),
        (90.., false) => Some(Part::Select),
        _ => None,
    }
}

/// 0 to 99, by the id alone.
fn of_hundred(id: Id, what: &[u8]) -> u128 {
    Id::of(&[&id.0.to_be_bytes(), what]).0 % 100
}
