//! What a reader wants of a list of durations.

use std::fmt;

use serde_json::{Value, json};

/// Sorted milliseconds.
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    pub fn of(mut values_ms: Vec<f64>) -> Self {
        values_ms.sort_by(f64::total_cmp);
        Self(values_ms)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn json(&self) -> Value {
        json!({"samples": self.0.len(), "p50": self.at(0.5), "p90": self.at(0.9), "p99": self.at(0.99), "max": self.at(1.0)})
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| self.at(share));
        write!(f, "p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms ({} events)", self.0.len())
    }
}
