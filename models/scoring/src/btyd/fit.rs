//! Parameters by maximum likelihood.

use libm::{exp, lgamma, log};

use super::nelder_mead::minimise;
use super::{BgNbd, GammaGamma, History};

/// What a fit gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted<P> {
    /// The parameters.
    pub parameters: P,
    /// The logarithm of the likelihood at them.
    pub log_likelihood: f64,
}

/// What a customer spent on purchase days after the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spending {
    /// Purchase days after the first; above 0.
    pub purchases: u32,
    /// Their mean; above 0.
    pub mean: f64,
}

/// The logarithm of BG/NBD's likelihood (equation 6 of the paper, summed).
pub fn bg_nbd_log_likelihood(model: &BgNbd, customers: &[History]) -> f64 {
    let BgNbd { r, alpha, a, b } = *model;
    let common = r * log(alpha) - lgamma(r) + lgamma(a + b) - lgamma(b);
    customers.iter().fold(0.0, |sum, customer| {
        let x = f64::from(customer.repeats);
        let counts = lgamma(r + x) + lgamma(b + x) - lgamma(a + b + x);
        let alive = -(r + x) * log(alpha + customer.age_weeks);
        let ways = if customer.repeats == 0 {
            alive
        } else {
            let gone = log(a / (b + x - 1.0)) - (r + x) * log(alpha + customer.latest_weeks);
            let most = alive.max(gone);
            most + log(exp(alive - most) + exp(gone - most))
        };
        sum + common + counts + ways
    })
}

/// BG/NBD from the histories of all customers, those who bought once too; `None` without any repeat purchase.
pub fn bg_nbd(customers: &[History]) -> Option<Fitted<BgNbd>> {
    customers.iter().any(|customer| customer.repeats > 0).then(|| {
        let model = |[r, alpha, a, b]: &[f64; 4]| BgNbd { r: exp(*r), alpha: exp(*alpha), a: exp(*a), b: exp(*b) };
        let (point, least) = minimise([0.0; 4], |point| -bg_nbd_log_likelihood(&model(point), customers));
        Fitted { parameters: model(&point), log_likelihood: -least }
    })
}

/// The logarithm of Gamma-Gamma's likelihood, over customers whose purchases and mean are above 0.
pub fn gamma_gamma_log_likelihood(model: &GammaGamma, customers: &[Spending]) -> f64 {
    let GammaGamma { p, q, v } = *model;
    let common = q * log(v) - lgamma(q);
    let counted = customers.iter().filter(|customer| customer.purchases > 0 && customer.mean > 0.0);
    counted.fold(0.0, |sum, customer| {
        let x = f64::from(customer.purchases);
        let (px, mean) = (p * x, customer.mean);
        let rest = (px - 1.0) * log(mean) + px * log(x) - (px + q) * log(x * mean + v);
        sum + common + lgamma(px + q) - lgamma(px) + rest
    })
}

/// Gamma-Gamma from what repeat customers spent; `None` without any.
pub fn gamma_gamma(customers: &[Spending]) -> Option<Fitted<GammaGamma>> {
    let counted = customers.iter().filter(|customer| customer.purchases > 0 && customer.mean > 0.0);
    let (count, total) = counted.fold((0.0, 0.0), |(count, total), customer| (count + 1.0, total + customer.mean));
    (count > 0.0).then(|| {
        let model = |[p, q, v]: &[f64; 3]| GammaGamma { p: exp(*p), q: exp(*q), v: exp(*v) };
        // v has the unit of money: the search begins at the scale of the amounts.
        let start = [1.0, 1.0, log(total / count)];
        let (point, least) = minimise(start, |point| -gamma_gamma_log_likelihood(&model(point), customers));
        Fitted { parameters: model(&point), log_likelihood: -least }
    })
}
