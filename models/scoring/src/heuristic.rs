//! The labelled fallback: a ranking by rules for as long as no model has been trained. It says so in every score.

use crate::features::{FEATURE_COUNT, Feature, Features, SCHEMA_HASH};
use crate::scorer::{Reasons, Role, Score, Scorer};

/// Points for the deepest point of the funnel, by level. Rises steeply, because each level divides those who leave from those who
/// stay far more than another page view does.
const FUNNEL_POINTS: [f64; 7] = [0.0, 1.0, 2.0, 4.0, 20.0, 60.0, 1_000.0];

/// Points for repeated interest: (feature, points each, counted at most).
const INTEREST: [(Feature, f64, f32); 6] = [
    (Feature::ProductViews, 0.5, 8.0),
    (Feature::Searches, 0.4, 5.0),
    (Feature::ListViews, 0.1, 10.0),
    (Feature::CartAdds, 3.0, 5.0),
    (Feature::CheckoutSteps, 8.0, 4.0),
    (Feature::ActiveMinutes, 0.1, 30.0),
];

/// Each removal from the cart takes away this much, down to nothing.
const CART_REMOVE_POINTS: f64 = -3.0;

/// Points at which the score is one half. Puts a lone page view near 1 % and a session in the checkout near 40 %; chosen by hand,
/// never fitted.
const HALF_POINTS: f64 = 100.0;

/// Points add up to `s`; the score is `s / (s + 100)`. Monotone in funnel depth. Not a probability: `calibration_version` is
/// `none`, `role` is `fallback`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heuristic;

impl Scorer for Heuristic {
    fn model(&self) -> &str {
        "heuristic"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn calibration_version(&self) -> &str {
        "none"
    }

    fn role(&self) -> Role {
        Role::Fallback
    }

    fn schema_hash(&self) -> u128 {
        SCHEMA_HASH
    }

    fn score(&self, features: &Features) -> Score {
        let mut points = [0.0f64; FEATURE_COUNT];
        // A cast from float saturates and takes NaN to 0.
        let depth = (features.get(Feature::FunnelDepth) as usize).min(FUNNEL_POINTS.len() - 1);
        points[Feature::FunnelDepth as usize] = FUNNEL_POINTS[depth];
        for (feature, each, at_most) in INTEREST {
            points[feature as usize] = each * f64::from(features.get(feature).clamp(0.0, at_most));
        }
        points[Feature::CartRemoves as usize] =
            CART_REMOVE_POINTS * f64::from(features.get(Feature::CartRemoves).clamp(0.0, 5.0));
        let sum = points.iter().fold(0.0, |sum, value| sum + value).max(0.0);
        let p = sum / (sum + HALF_POINTS);
        Score { p_raw: p, p, within_7_days: None, reasons: Reasons::strongest(&points) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(Feature, f32)]) -> Features {
        let mut features = Features::default();
        for &(feature, value) in values {
            features.set(feature, value);
        }
        features
    }

    #[test]
    fn rises_with_funnel_depth_whatever_else_is_so() {
        for base in [
            with(&[]),
            with(&[(Feature::CartRemoves, 5.0)]),
            with(&[(Feature::ProductViews, 80.0), (Feature::ActiveMinutes, 1e9), (Feature::CartRemoves, 1.0)]),
        ] {
            let mut last = -1.0;
            for depth in 0..=6u8 {
                let mut features = base;
                features.set(Feature::FunnelDepth, f32::from(depth));
                let p = Heuristic.score(&features).p;
                assert!((0.0..=1.0).contains(&p) && p >= last, "depth {depth}: {p} after {last}");
                last = p;
            }
        }
    }

    #[test]
    fn golden_scores() {
        let page = Heuristic.score(&with(&[(Feature::PageViews, 1.0), (Feature::FunnelDepth, 1.0)]));
        assert_eq!(page.p, 1.0 / 101.0);
        let cart = Heuristic.score(&with(&[
            (Feature::FunnelDepth, 4.0),
            (Feature::ProductViews, 2.0),
            (Feature::CartAdds, 1.0),
        ]));
        assert_eq!(cart.p, 24.0 / 124.0);
        assert_eq!(cart.reasons.names().collect::<Vec<_>>(), ["funnel_depth", "cart_adds", "product_views"]);
    }

    #[test]
    fn odd_numbers_stay_in_bounds() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MAX] {
            let score = Heuristic.score(&Features([value; FEATURE_COUNT]));
            assert!((0.0..=1.0).contains(&score.p), "{value}: {}", score.p);
        }
    }
}
