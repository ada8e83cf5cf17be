//! The Gamma-Gamma model of spending.

use serde::{Deserialize, Serialize};

/// Gamma-Gamma's parameters. A customer's purchases are gamma distributed with shape `p` around the customer's own mean; the rates
/// behind those means are gamma distributed with shape `q` and rate `v`. It takes spending as independent of how often somebody
/// buys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GammaGamma {
    /// Shape of a customer's purchases.
    pub p: f64,
    /// Shape of the rates; above 1, or there is no mean.
    pub q: f64,
    /// Rate of the rates, in the unit of the amounts (γ in the literature).
    pub v: f64,
}

impl GammaGamma {
    /// Expected mean spend of a customer whose `purchases` had the mean `mean`, in the unit of `v`: between the customer's own mean
    /// and everybody's, nearer to the customer's the more purchases there are. Without purchases it is everybody's.
    pub fn expected_mean(&self, purchases: u32, mean: f64) -> f64 {
        let n = f64::from(purchases);
        self.p * (self.v + n * mean) / (self.p * n + self.q - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CDNOW: GammaGamma = GammaGamma { p: 6.249_57, q: 3.744_22, v: 15.443_52 };

    #[test]
    fn golden_population_mean() {
        assert!((CDNOW.expected_mean(0, 0.0) - 35.1704).abs() < 1e-3, "{}", CDNOW.expected_mean(0, 0.0));
    }

    #[test]
    fn between_own_mean_and_everybodys() {
        let everybody = CDNOW.expected_mean(0, 0.0);
        let mut last = everybody;
        for purchases in [1, 2, 10, 1_000] {
            let is = CDNOW.expected_mean(purchases, 100.0);
            assert!(is > last && is < 100.0, "{purchases}: {is}");
            last = is;
        }
    }
}
