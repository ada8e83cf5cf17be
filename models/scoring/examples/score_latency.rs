//! What one score costs: features to calibrated probability, reasons and the seven-day head included, on one core.
//!
//! `MILLSTREAM_DATA=… cargo run --release -p millstream-scoring --example score_latency [artefact.json]`
//!
//! The shipped model by default, and, where `MILLSTREAM_DATA` is set, the reference forest (300 trees of depth 5) on rows of its own
//! shape. Rows differ from call to call, so that neither memory nor the branch predictor knows the way.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that reports")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use millstream_scoring::calibration::Calibration;
use millstream_scoring::forest::{Forest, sigmoid};
use millstream_scoring::{FEATURE_COUNT, Feature, Features, Heuristic, Model, Reasons, Scorer, builtin, xgboost};

const ROWS: usize = 20_000;
/// Rows timed at once: so few that another process seldom comes in between, where the machine is not idle.
const CHUNK: usize = 250;
const ROUNDS: usize = 10;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit) as f32
    }
}

/// Sessions of all kinds.
fn sessions(random: &mut Random) -> Vec<Features> {
    let session = |_| {
        let mut features = Features::default();
        let views = random.below(9);
        let adds = (random.below(6) - 3.0).max(0.0);
        for (feature, value) in [
            (Feature::Events, 1.0 + 2.0 * views + adds),
            (Feature::PageViews, 1.0 + views),
            (Feature::ProductViews, views),
            (Feature::ListViews, random.below(3)),
            (Feature::Searches, random.below(2)),
            (Feature::CartAdds, adds),
            (Feature::CartBalance, adds),
            (Feature::CheckoutSteps, if adds > 0.0 { random.below(4) } else { 0.0 }),
            (Feature::FunnelDepth, 1.0 + random.below(6)),
            (Feature::ActiveMinutes, random.below(400) / 10.0),
            (Feature::Products, views),
            (Feature::SecondsPerEvent, random.below(90)),
            (Feature::Channel, random.below(10)),
            (Feature::Device, 1.0 + random.below(3)),
            (Feature::PriorSessions, if random.below(3) < 1.0 { f32::NAN } else { random.below(12) }),
            (Feature::PriorOrders, random.below(3)),
            (Feature::DaysSinceSession, random.below(900) / 10.0),
            (Feature::DaysSinceOrder, f32::NAN),
            (Feature::LeftCart, random.below(2)),
        ] {
            features.set(feature, value);
        }
        features
    };
    (0..ROWS).map(session).collect()
}

/// Median over chunks of nanoseconds a row.
fn measure<T>(rows: &[T], mut score: impl FnMut(&T)) -> f64 {
    let mut chunks = Vec::new();
    for _ in 0..ROUNDS {
        for chunk in rows.chunks(CHUNK) {
            let started = Instant::now();
            chunk.iter().for_each(&mut score);
            chunks.push(started.elapsed().as_nanos() as f64 / chunk.len() as f64);
        }
    }
    chunks.sort_by(f64::total_cmp);
    chunks[chunks.len() / 2]
}

fn main() {
    let mut random = Random(7);
    let rows = sessions(&mut random);
    let bytes = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path).expect("the artefact can be read"),
        None => builtin::PROPENSITY.to_vec(),
    };
    let model = Model::load(&bytes).expect("the artefact is a model");
    for (name, scorer) in [("heuristic", &Heuristic as &dyn Scorer), ("model", &model)] {
        let ns = measure(&rows, |features| {
            black_box(scorer.score(black_box(features)));
        });
        println!("{name:<24} {ns:>7.0} ns/score  ({} {}, {FEATURE_COUNT} features)", scorer.model(), scorer.version());
    }
    let Some(folder) = std::env::var_os("MILLSTREAM_DATA") else { return };
    let path = PathBuf::from(folder).join("online_shoppers/ref/xgb_tuned_rowmod5_fold0.json");
    let trees = xgboost::trees(&std::fs::read(path).expect("the reference model is there")).expect("it is XGBoost's");
    let forest = Forest::new(&trees).expect("they are trees");
    let calibration = Calibration::Platt { slope: 1.0, intercept: 0.0 };
    let wide: Vec<[f32; 17]> = (0..ROWS)
        .map(|_| {
            let limits = [27, 3_400, 24, 2_550, 700, 60_000, 1, 1, 360, 2, 12, 8, 13, 9, 20, 3, 2];
            limits.map(|limit| if limit == 1 { random.below(1_000) / 5_000.0 } else { random.below(limit) })
        })
        .collect();
    let ns = measure(&wide, |row| {
        let mut moved = [0.0f32; 17];
        let margin = forest.explain(black_box(row), &mut moved);
        black_box((calibration.apply(margin, sigmoid(margin)), Reasons::strongest(&moved.map(f64::from))));
    });
    println!("reference, with reasons  {ns:>7.0} ns/score  ({} trees, {} nodes)", forest.trees(), forest.nodes());
    let ns = measure(&wide, |row| {
        black_box(sigmoid(forest.margin(black_box(row))));
    });
    println!("reference, margin only   {ns:>7.0} ns/score");
}
