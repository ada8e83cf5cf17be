//! How good scores are, beside what knowing only the base rate would give.

/// A score and what then happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The probability that was said.
    pub p: f64,
    /// Whether it happened.
    pub happened: bool,
}

/// Bins of the expected calibration error, of equal mass.
pub const ECE_BINS: usize = 10;

/// What scores are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Scores judged.
    pub rows: usize,
    /// Share of those where it happened; also the average precision of guessing.
    pub base_rate: f64,
    /// Area under the ROC curve: the chance that of two rows, one where it happened and one where not, the first has the higher
    /// score; ties count half.
    pub auc: f64,
    /// Average precision: the mean over the positive rows of the precision at their score.
    pub average_precision: f64,
    /// Mean of −ln of the probability given to what happened.
    pub log_loss: f64,
    /// The log-loss of always saying the base rate.
    pub base_log_loss: f64,
    /// Mean squared difference between what was said and what happened.
    pub brier: f64,
    /// Expected calibration error: over ten bins with equally many rows, the mean difference between what was said and how often it
    /// happened.
    pub ece: f64,
}

/// Judges scores; `None` where it always or never happened (or nothing was scored), because nothing can be ranked then.
pub fn evaluate(outcomes: &[Outcome]) -> Option<Evaluation> {
    let positives = outcomes.iter().filter(|outcome| outcome.happened).count();
    if positives == 0 || positives == outcomes.len() {
        return None;
    }
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| a.p.total_cmp(&b.p));
    let count = outcomes.len() as f64;
    let base_rate = positives as f64 / count;
    let mean = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / count;
    Some(Evaluation {
        rows: outcomes.len(),
        base_rate,
        auc: auc(&sorted, positives as f64),
        average_precision: average_precision(&sorted, positives as f64),
        log_loss: mean(|outcome| surprise(if outcome.happened { outcome.p } else { 1.0 - outcome.p })),
        base_log_loss: base_rate * surprise(base_rate) + (1.0 - base_rate) * surprise(1.0 - base_rate),
        brier: mean(|outcome| (outcome.p - f64::from(u8::from(outcome.happened))).powi(2)),
        ece: ece(&sorted),
    })
}

/// −ln of a probability, kept finite: certainty that was wrong costs 36.
fn surprise(p: f64) -> f64 {
    -libm::log(p.clamp(f64::EPSILON, 1.0))
}

fn positives_in(outcomes: &[Outcome]) -> f64 {
    outcomes.iter().filter(|outcome| outcome.happened).count() as f64
}

fn auc(sorted: &[Outcome], positives: f64) -> f64 {
    let mut below = 0.0;
    let mut rank_sum = 0.0;
    for ties in sorted.chunk_by(|a, b| a.p == b.p) {
        let size = ties.len() as f64;
        rank_sum += (below + (size + 1.0) / 2.0) * positives_in(ties);
        below += size;
    }
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * (sorted.len() as f64 - positives))
}

fn average_precision(sorted: &[Outcome], positives: f64) -> f64 {
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    let mut left = sorted;
    while let Some(last) = left.last() {
        // Rows of one score cannot be told apart: they come all at once.
        let start = left.partition_point(|outcome| outcome.p < last.p);
        let (before, ties) = left.split_at(start.min(left.len() - 1));
        let more = positives_in(ties);
        seen += ties.len() as f64;
        found += more;
        sum += more * found / seen;
        left = before;
    }
    sum / positives
}

fn ece(sorted: &[Outcome]) -> f64 {
    let count = sorted.len();
    let bins = (0..ECE_BINS).filter_map(|bin| sorted.get(bin * count / ECE_BINS..(bin + 1) * count / ECE_BINS));
    let off: f64 = bins.map(|rows| (rows.iter().map(|row| row.p).sum::<f64>() - positives_in(rows)).abs()).sum();
    off / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, bool)]) -> Vec<Outcome> {
        pairs.iter().map(|&(p, happened)| Outcome { p, happened }).collect()
    }

    #[test]
    fn small_cases_by_hand() {
        // Pairs (positive, negative): .8>.4, .8>.5, .4=.4, .4<.5: 2.5 of 4.
        let four = evaluate(&of(&[(0.4, false), (0.5, false), (0.8, true), (0.4, true)])).unwrap();
        assert_eq!((four.auc, four.base_rate, four.base_log_loss), (0.625, 0.5, std::f64::consts::LN_2));
        // Precision at .8 is 1, at .4 it is 2 of 4.
        assert_eq!(four.average_precision, 0.75);
        assert!(evaluate(&of(&[(0.4, false)])).is_none() && evaluate(&[]).is_none());
        let certain = evaluate(&of(&[(1.0, false), (0.0, true)])).unwrap();
        assert!(certain.log_loss > 36.0 && certain.log_loss.is_finite());
        assert_eq!((certain.auc, certain.brier), (0.0, 1.0));
    }

    /// A fixed stream of rows, from a linear congruential generator that any language can repeat: `s ← 1664525 s + 1013904223`
    /// (32 bits), from 42; p is the upper 16 bits / 65536, rounded down to hundredths on every third row; it happened where the next
    /// number / 2³² is below p².
    fn stream() -> Vec<Outcome> {
        let mut state = 42u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        (0..2_000)
            .map(|row| {
                let p = f64::from(next() >> 16) / 65_536.0;
                let p = if row % 3 == 0 { (p * 100.0).floor() / 100.0 } else { p };
                Outcome { p, happened: f64::from(next()) / 4_294_967_296.0 < p * p }
            })
            .collect()
    }

    /// Computed with scikit-learn 1.9.1 (roc_auc_score, average_precision_score, log_loss, brier_score_loss); the calibration error
    /// with numpy over the stably sorted rows.
    #[test]
    fn agrees_with_scikit_learn() {
        let found = evaluate(&stream()).unwrap();
        let golden = GOLDEN;
        for (name, found, golden) in [
            ("base rate", found.base_rate, golden[0]),
            ("AUC", found.auc, golden[1]),
            ("AP", found.average_precision, golden[2]),
            ("log-loss", found.log_loss, golden[3]),
            ("Brier", found.brier, golden[4]),
            ("ECE", found.ece, golden[5]),
        ] {
            assert!((found - golden).abs() < 1e-12, "{name}: {found} instead of {golden}");
        }
    }

    const GOLDEN: [f64; 6] =
        [0.347, 0.8849590230856478, 0.8069380920966704, 0.48403125387731816, 0.16083192756469675, 0.15774191314697264];
}
