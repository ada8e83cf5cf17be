//! From a forest's answer to a probability: what is said to happen in one of five cases does so in one of five.
//!
//! Both kinds are monotone, so that they keep the ranking, and both are fitted on rows that the forest has not seen. Which is better is
//! measured on yet others: [`Calibration::fit_best`].

use serde::{Deserialize, Serialize};

use crate::evaluation::{Outcome, evaluate};
use crate::limits;

/// A row to calibrate on: what the forest said, and what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw {
    /// The margin (log odds).
    pub margin: f32,
    /// The probability before calibration.
    pub p_raw: f32,
    /// Whether it happened.
    pub happened: bool,
}

/// A fitted calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Calibration {
    /// Isotonic: lines between knots, level beyond the outermost. Knots rise in both coordinates.
    Isotonic {
        /// Raw probability and calibrated one.
        knots: Vec<(f32, f64)>,
    },
    /// Platt: a logistic curve of the margin.
    Platt {
        /// Factor of the margin.
        slope: f64,
        /// Log odds at margin 0.
        intercept: f64,
    },
}

/// Why a calibration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// It maps some raw probability to what is none.
    #[error("calibration: {0}")]
    Invalid(String),
    /// There is nothing to fit it on.
    #[error("calibration: {rows} rows with {happened} positive ones; both kinds are needed")]
    OneSided {
        /// Rows.
        rows: usize,
        /// Those where it happened.
        happened: usize,
    },
}

impl Calibration {
    /// The probability. Always from 0 to 1.
    pub fn apply(&self, margin: f32, p_raw: f32) -> f64 {
        match self {
            Self::Isotonic { knots } => interpolate(knots, p_raw),
            Self::Platt { slope, intercept } => logistic(slope * f64::from(margin) + intercept),
        }
    }

    /// Its kind, for versions and cards.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Isotonic { .. } => "isotonic",
            Self::Platt { .. } => "platt",
        }
    }

    /// Checks one that comes from outside.
    ///
    /// # Errors
    /// Where it is not monotone or leaves the interval from 0 to 1.
    pub fn check(&self) -> Result<(), CalibrationError> {
        let wrong = |detail: String| Err(CalibrationError::Invalid(detail));
        match self {
            Self::Isotonic { knots } => {
                if knots.is_empty() || knots.len() > limits::KNOTS {
                    return wrong(format!("{} knots; 1 to {} are possible", knots.len(), limits::KNOTS));
                }
                if let Some(at) = knots.iter().position(|(x, y)| !(0.0..=1.0).contains(x) || !(0.0..=1.0).contains(y)) {
                    return wrong(format!("knot {at} is outside 0 to 1"));
                }
                if let Some(at) = knots.windows(2).position(|pair| !matches!(pair, [a, b] if a.0 < b.0 && a.1 <= b.1)) {
                    return wrong(format!("knot {} does not rise", at + 1));
                }
                Ok(())
            }
            Self::Platt { slope, intercept } if !(slope.is_finite() && *slope >= 0.0 && intercept.is_finite()) => {
                wrong(format!("slope {slope} and intercept {intercept} do not make a rising curve"))
            }
            Self::Platt { .. } => Ok(()),
        }
    }

    /// Isotonic regression by pooling adjacent violators. A knot stands at the mean of each pool, so that the curve rises between
    /// pools instead of jumping.
    ///
    /// # Errors
    /// Where only one kind of rows is there.
    pub fn fit_isotonic(rows: &[Raw]) -> Result<Self, CalibrationError> {
        both_kinds(rows)?;
        let mut sorted: Vec<(f32, bool)> = rows.iter().map(|row| (row.p_raw, row.happened)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pools: Vec<Pool> = Vec::new();
        for group in sorted.chunk_by(|a, b| a.0 == b.0) {
            let count = group.len() as f64;
            let happened = group.iter().filter(|row| row.1).count() as f64;
            let x = group.first().map_or(0.0, |row| f64::from(row.0));
            pools.push(Pool { sum_x: x * count, happened, count });
            merge_while(&mut pools, |before, last| before.rate() >= last.rate());
        }
        // Few enough, by joining the smallest with its neighbour: neighbours differ least, and order is kept.
        while pools.len() > limits::KNOTS / 4 {
            let weights = pools.windows(2).map(|pair| pair.iter().map(|pool| pool.count).sum::<f64>());
            let smallest = weights.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
            let removed = pools.remove(smallest + 1);
            if let Some(pool) = pools.get_mut(smallest) {
                pool.add(&removed);
            }
        }
        // No row was ever certain: half a row at either end.
        let edge = 0.5 / rows.len() as f64;
        let mut knots: Vec<(f32, f64)> = Vec::with_capacity(pools.len());
        for pool in &pools {
            let (x, y) = ((pool.sum_x / pool.count) as f32, pool.rate().clamp(edge, 1.0 - edge));
            if knots.last().is_none_or(|last| last.0 < x) {
                knots.push((x, y));
            }
        }
        Ok(Self::Isotonic { knots })
    }

    /// Platt scaling: logistic regression of what happened on the margin, by Newton's method, with Platt's smoothed targets.
    ///
    /// # Errors
    /// Where only one kind of rows is there, or no rising curve fits.
    pub fn fit_platt(rows: &[Raw]) -> Result<Self, CalibrationError> {
        let happened = both_kinds(rows)? as f64;
        let others = rows.len() as f64 - happened;
        let (high, low) = ((happened + 1.0) / (happened + 2.0), 1.0 / (others + 2.0));
        let (mut slope, mut intercept) = (1.0f64, 0.0f64);
        for _ in 0..50 {
            let (mut by_slope, mut by_intercept) = (0.0, 0.0);
            let (mut ss, mut si, mut ii) = (1e-9, 0.0, 1e-9);
            for row in rows {
                let x = f64::from(row.margin);
                let p = logistic(slope * x + intercept);
                let error = p - if row.happened { high } else { low };
                let weight = p * (1.0 - p);
                by_slope += error * x;
                by_intercept += error;
                ss += weight * x * x;
                si += weight * x;
                ii += weight;
            }
            let determinant = ss * ii - si * si;
            let step = (ii * by_slope - si * by_intercept) / determinant;
            let shift = (ss * by_intercept - si * by_slope) / determinant;
            slope -= step;
            intercept -= shift;
            if step.abs() + shift.abs() < 1e-10 {
                break;
            }
        }
        let fitted = Self::Platt { slope, intercept };
        fitted.check()?;
        Ok(fitted)
    }

    /// Fits both kinds on `fit` and returns the one with the lower expected calibration error on `select`, with both errors
    /// (isotonic, Platt). A kind that cannot be fitted has error infinity.
    ///
    /// # Errors
    /// Where neither can be fitted.
    pub fn fit_best(fit: &[Raw], select: &[Raw]) -> Result<(Self, [f64; 2]), CalibrationError> {
        let error_of = |calibration: &Self| {
            let outcome = |row: &Raw| Outcome { p: calibration.apply(row.margin, row.p_raw), happened: row.happened };
            let outcomes: Vec<Outcome> = select.iter().map(outcome).collect();
            evaluate(&outcomes).map_or(f64::INFINITY, |evaluation| evaluation.ece)
        };
        let isotonic = Self::fit_isotonic(fit)?;
        let isotonic_ece = error_of(&isotonic);
        match Self::fit_platt(fit) {
            Ok(platt) => {
                let platt_ece = error_of(&platt);
                let best = if platt_ece < isotonic_ece { platt } else { isotonic };
                Ok((best, [isotonic_ece, platt_ece]))
            }
            Err(_) => Ok((isotonic, [isotonic_ece, f64::INFINITY])),
        }
    }
}

fn both_kinds(rows: &[Raw]) -> Result<usize, CalibrationError> {
    let happened = rows.iter().filter(|row| row.happened).count();
    if happened == 0 || happened == rows.len() {
        return Err(CalibrationError::OneSided { rows: rows.len(), happened });
    }
    Ok(happened)
}

/// Neighbouring rows that share one rate.
#[derive(Debug, Clone, Copy)]
struct Pool {
    sum_x: f64,
    happened: f64,
    count: f64,
}

impl Pool {
    fn rate(&self) -> f64 {
        self.happened / self.count
    }

    fn add(&mut self, other: &Self) {
        self.sum_x += other.sum_x;
        self.happened += other.happened;
        self.count += other.count;
    }
}

fn merge_while(pools: &mut Vec<Pool>, violated: impl Fn(&Pool, &Pool) -> bool) {
    while let [.., before, last] = pools.as_mut_slice() {
        if !violated(before, last) {
            return;
        }
        before.add(last);
        pools.pop();
    }
}

fn interpolate(knots: &[(f32, f64)], x: f32) -> f64 {
    let at = knots.partition_point(|knot| knot.0 <= x);
    match (at.checked_sub(1).and_then(|before| knots.get(before)), knots.get(at)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => {
            let part = f64::from(x - x0) / f64::from(x1 - x0);
            y0 + (y1 - y0) * part
        }
        (Some(&(_, y)), None) | (None, Some(&(_, y))) => y,
        // Checked when loaded: there is a knot.
        (None, None) => f64::from(x),
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(f32, bool)]) -> Vec<Raw> {
        let margin = |p: f32| libm::logf(p / (1.0 - p));
        pairs.iter().map(|&(p_raw, happened)| Raw { margin: margin(p_raw), p_raw, happened }).collect()
    }

    #[test]
    fn violators_are_pooled() {
        // Rates in order: 0, 1, 0, 1, 1: the second and third are pooled to one half.
        let rows = rows(&[(0.1, false), (0.2, true), (0.4, false), (0.6, true), (0.8, true)]);
        let Calibration::Isotonic { knots } = Calibration::fit_isotonic(&rows).unwrap() else { panic!() };
        let xs: Vec<f32> = knots.iter().map(|knot| (knot.0 * 100.0).round() / 100.0).collect();
        assert_eq!(xs, [0.1, 0.3, 0.7]);
        assert_eq!(
            knots.iter().map(|knot| knot.1).collect::<Vec<_>>(),
            [0.1, 0.5, 0.9],
            "half a row of five at the ends"
        );
    }

    #[test]
    fn lines_between_knots_and_level_beyond() {
        let calibration = Calibration::Isotonic { knots: vec![(0.25, 0.1), (0.5, 0.3), (0.75, 0.9)] };
        calibration.check().unwrap();
        let at = |p: f32| calibration.apply(0.0, p);
        assert_eq!((at(0.0), at(0.25), at(0.375), at(0.5), at(1.0)), (0.1, 0.1, 0.2, 0.3, 0.9));
    }

    #[test]
    fn platt_finds_the_curve_that_made_the_rows() {
        // At each margin as many of 1,000 as 1 / (1 + exp(−(0.5 m − 1))) says.
        let mut made = Vec::new();
        for step in -8..=8 {
            let margin = step as f32 / 2.0;
            let happened = (1_000.0 * logistic(0.5 * f64::from(margin) - 1.0)).round() as usize;
            made.extend((0..1_000).map(|row| Raw { margin, p_raw: 0.5, happened: row < happened }));
        }
        let Calibration::Platt { slope, intercept } = Calibration::fit_platt(&made).unwrap() else { panic!() };
        assert!((slope - 0.5).abs() < 0.01 && (intercept + 1.0).abs() < 0.01, "{slope} {intercept}");
    }

    #[test]
    fn the_better_calibrated_kind_is_chosen() {
        // A step in the middle: no logistic curve fits, isotonic does.
        let step: Vec<(f32, bool)> =
            (0..4_000).map(|row| ((row as f32 + 0.5) / 4_000.0, row % 10 < if row < 2_000 { 1 } else { 2 })).collect();
        let (best, [isotonic, platt]) = Calibration::fit_best(&rows(&step), &rows(&step)).unwrap();
        assert_eq!(best.kind(), "isotonic");
        assert!(isotonic < platt, "{isotonic} {platt}");
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        assert!(Calibration::fit_isotonic(&rows(&[(0.1, true)])).unwrap_err().to_string().contains("both kinds"));
        for knots in [vec![], vec![(0.5, 1.5)], vec![(0.5, 0.5), (0.5, 0.6)], vec![(0.1, 0.5), (0.2, 0.4)]] {
            assert!(Calibration::Isotonic { knots }.check().is_err());
        }
        assert!(Calibration::Platt { slope: -1.0, intercept: 0.0 }.check().is_err());
        assert!(Calibration::Platt { slope: f64::NAN, intercept: 0.0 }.check().is_err());
    }
}
