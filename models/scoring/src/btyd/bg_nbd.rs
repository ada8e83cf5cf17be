//! The BG/NBD model.

use libm::{exp, expm1, fabs, log1p};
use serde::{Deserialize, Serialize};

/// A term this much smaller than the sum so far ends a series.
const NEGLIGIBLE: f64 = 1e-14;
/// Terms of a series at most. Reached only where the time ahead is thousands of times `alpha` and the customer is new; what is left
/// out there is below 1e-6 of the result.
const TERMS_MAX: u32 = 100_000;

/// What is known of a customer, in weeks since the first purchase. Days on which something was bought count, not orders.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct History {
    /// Purchase days after the first (x).
    pub repeats: u32,
    /// The latest of them (t_x); 0 where there is none.
    pub latest_weeks: f64,
    /// Now (T); never before the latest.
    pub age_weeks: f64,
}

/// BG/NBD's parameters. A customer's rate of purchases a week is gamma distributed with shape `r` and rate `alpha`; the chance to be
/// gone after a purchase is beta distributed with `a` and `b`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgNbd {
    /// Shape of the rates.
    pub r: f64,
    /// Rate of the rates, weeks.
    pub alpha: f64,
    /// First parameter of the chance to be gone.
    pub a: f64,
    /// Second parameter of the chance to be gone.
    pub b: f64,
}

impl BgNbd {
    /// Probability that the customer will ever buy again. 1 for everybody who has bought once: no score of churn.
    pub fn p_alive(&self, history: &History) -> f64 {
        if history.repeats == 0 {
            return 1.0;
        }
        let x = f64::from(history.repeats);
        let idle_weeks = (history.age_weeks - history.latest_weeks).max(0.0);
        let odds_gone =
            self.a / (self.b + x - 1.0) * exp((self.r + x) * log1p(idle_weeks / (self.alpha + history.latest_weeks)));
        1.0 / (1.0 + odds_gone)
    }

    /// Probability of at least one purchase in the `weeks` ahead.
    ///
    /// Nobody is gone between two purchases, so that a customer who is alive buys next at the rate they have, which given the
    /// history is gamma distributed with shape r + x and rate alpha + T:
    /// P = P(alive) · (1 − ((alpha + T) / (alpha + T + h))^(r + x)).
    pub fn p_active(&self, history: &History, weeks: f64) -> f64 {
        let shape = self.r + f64::from(history.repeats);
        let some = -expm1(-shape * log1p(weeks.max(0.0) / (self.alpha + history.age_weeks)));
        self.p_alive(history) * some
    }

    /// Expected purchases in the `weeks` ahead (equation 10 of the paper).
    ///
    /// With z = h / (alpha + T + h) and C = a + b + x − 1 the paper's ((alpha + T) / (alpha + T + h))^(r + x) · ₂F₁(r + x, b + x; C; z)
    /// is, by Euler's transformation, (1 − z)^(a − 1) · ₂F₁(a + b − 1 − r, a − 1; C; z), whose terms stay small for long histories.
    /// Its first term is 1; with the sum of the others divided by a − 1 the result is
    /// P(alive) · (C · (1 − (1 − z)^(a − 1)) / (a − 1) − (1 − z)^(a − 1) · C · S), which is stable at a = 1 and at C = 0 too.
    pub fn expected(&self, history: &History, weeks: f64) -> f64 {
        let weeks = weeks.max(0.0);
        let x = f64::from(history.repeats);
        let z = weeks / (self.alpha + history.age_weeks + weeks);
        let log_rest = log1p(-z);
        let c = self.a + self.b + x - 1.0;
        let less = self.a - 1.0;
        let whole = if less == 0.0 { -log_rest } else { -expm1(less * log_rest) / less };
        let sum = self.series(c, z);
        (self.p_alive(history) * (c * whole - exp(less * log_rest) * sum)).max(0.0)
    }

    /// C · S: the sum over n ≥ 1 of (a + b − 1 − r)_n (a)_(n−1) / ((C + 1)_(n−1) n!) · zⁿ.
    fn series(&self, c: f64, z: f64) -> f64 {
        let first = self.a + self.b - 1.0 - self.r;
        let mut term = first * z;
        let mut sum = term;
        let mut n = 1.0;
        for _ in 0..TERMS_MAX {
            term *= (first + n) * (self.a + n - 1.0) / ((c + n) * (n + 1.0)) * z;
            sum += term;
            n += 1.0;
            if fabs(term) <= NEGLIGIBLE * fabs(sum) {
                break;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The published parameters of CDNOW.
    const CDNOW: BgNbd = BgNbd { r: 0.242593, alpha: 4.413532, a: 0.792886, b: 2.425753 };

    fn near(is: f64, should: f64, relative: f64) {
        assert!((is - should).abs() <= relative * should.abs(), "{is}, not {should}");
    }

    #[test]
    fn golden_customer() {
        let weeks = |days: f64| days / 7.0;
        // The published row (t_x = 30.43, T = 38.86, rounded) and the days it was rounded from.
        let rounded = History { repeats: 2, latest_weeks: 30.43, age_weeks: 38.86 };
        near(CDNOW.expected(&rounded, 39.0), 1.225_91, 1e-5);
        near(CDNOW.p_alive(&rounded), 0.726_609, 1e-5);
        let exact = History { repeats: 2, latest_weeks: weeks(213.0), age_weeks: weeks(272.0) };
        near(CDNOW.expected(&exact, 39.0), 1.2260, 1e-3);
        near(CDNOW.p_alive(&exact), 0.726_58, 1e-3);
    }

    #[test]
    fn once_bought_is_alive_forever_and_still_less_and_less_active() {
        let mut last = 1.0;
        for age_weeks in [0.0, 1.0, 10.0, 100.0, 1_000.0] {
            let history = History { repeats: 0, latest_weeks: 0.0, age_weeks };
            assert_eq!(CDNOW.p_alive(&history), 1.0);
            let p = CDNOW.p_active(&history, 13.0);
            assert!(p < last, "{p} after {last}");
            last = p;
        }
    }

    #[test]
    fn the_awkward_parameters_are_steady() {
        let history = History { repeats: 3, latest_weeks: 20.0, age_weeks: 30.0 };
        for (at, beside) in [
            // a = 1, where equation 10 divides by zero.
            (BgNbd { a: 1.0, ..CDNOW }, BgNbd { a: 1.0 + 1e-9, ..CDNOW }),
            // a + b = 1: the paper's ₂F₁ has a pole for who bought once.
            (BgNbd { a: 0.4, b: 0.6, ..CDNOW }, BgNbd { a: 0.4, b: 0.6 + 1e-9, ..CDNOW }),
        ] {
            for history in [history, History { repeats: 0, latest_weeks: 0.0, age_weeks: 12.0 }] {
                near(at.expected(&history, 52.0), beside.expected(&history, 52.0), 1e-7);
            }
        }
    }

    /// The posterior, integrated on a grid: λ and p of a customer weigh as their likelihood times their prior.
    fn by_integration(model: &BgNbd, history: &History, weeks: f64) -> (f64, f64) {
        let x = f64::from(history.repeats);
        let (mut total, mut active, mut expected) = (0.0, 0.0, 0.0);
        // The integrands are smooth in u and w (λ = e^u, p = 1 / (1 + e^-w)) and vanish at all ends.
        let (rates, chances) = (900, 300);
        for i in 0..rates {
            let u = -120.0 + 126.0 * (f64::from(i) + 0.5) / f64::from(rates);
            let rate = exp(u);
            for j in 0..chances {
                let w = -45.0 + 90.0 * (f64::from(j) + 0.5) / f64::from(chances);
                let gone = 1.0 / (1.0 + exp(-w));
                let stays = 1.0 / (1.0 + exp(w));
                let prior = (model.r) * u - model.alpha * rate + model.a * libm::log(gone) + model.b * libm::log(stays);
                let purchases = x * u;
                let alive = exp(prior + purchases + x * libm::log(stays) - rate * history.age_weeks);
                let dead = if history.repeats == 0 {
                    0.0
                } else {
                    let left = libm::log(gone) + (x - 1.0) * libm::log(stays);
                    exp(prior + purchases + left - rate * history.latest_weeks)
                };
                total += alive + dead;
                active += alive * -expm1(-rate * weeks);
                // Equation 4 of the paper: expected purchases of one who is alive.
                expected += alive * -expm1(-rate * gone * weeks) / gone;
            }
        }
        (active / total, expected / total)
    }

    #[test]
    fn agrees_with_the_posterior_integrated() {
        let other = BgNbd { r: 1.3, alpha: 9.0, a: 1.6, b: 3.1 };
        for model in [CDNOW, other] {
            for (repeats, latest_weeks, age_weeks) in
                [(0, 0.0, 0.5), (0, 0.0, 30.0), (1, 2.0, 30.0), (2, 30.43, 38.86), (9, 25.0, 38.0)]
            {
                let history = History { repeats, latest_weeks, age_weeks };
                for weeks in [4.0, 39.0] {
                    let (active, expected) = by_integration(&model, &history, weeks);
                    near(model.p_active(&history, weeks), active, 1e-7);
                    near(model.expected(&history, weeks), expected, 1e-7);
                }
            }
        }
    }

    fn models() -> impl Strategy<Value = BgNbd> {
        (0.01..20.0f64, 0.1..100.0f64, 0.01..20.0f64, 0.01..20.0f64).prop_map(|(r, alpha, a, b)| BgNbd {
            r,
            alpha,
            a,
            b,
        })
    }

    proptest! {
        #[test]
        fn time_without_a_purchase_only_lowers_and_a_longer_horizon_only_raises(
            model in models(), repeats in 0..400u32, latest in 0.0..200.0f64, idle in 0.0..500.0f64, more in 0.01..50.0f64,
            weeks in 0.1..60.0f64,
        ) {
            let latest_weeks = if repeats == 0 { 0.0 } else { latest };
            let history = History { repeats, latest_weeks, age_weeks: latest_weeks + idle };
            let later = History { age_weeks: history.age_weeks + more, ..history };
            let (p, expected) = (model.p_active(&history, weeks), model.expected(&history, weeks));
            prop_assert!((0.0..=1.0).contains(&p));
            // At least one purchase is at most what is expected.
            prop_assert!(p <= expected * (1.0 + 1e-9) + 1e-12, "{} > {}", p, expected);
            prop_assert!(model.p_active(&later, weeks) <= p + 1e-12);
            prop_assert!(model.expected(&later, weeks) <= expected * (1.0 + 1e-9) + 1e-12);
            prop_assert!(model.p_active(&history, weeks + more) >= p - 1e-12);
            prop_assert!(model.expected(&history, weeks + more) >= expected * (1.0 - 1e-9) - 1e-12);
        }
    }
}
