//! The interface between operators and models.

use crate::features::{FEATURES, Features};

/// What part a scorer plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The model whose scores are acted on.
    Champion,
    /// A model that scores the same records to be compared.
    Challenger,
    /// Not a model: rules, for as long as there is none.
    Fallback,
}

impl Role {
    /// Its name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
            Self::Fallback => "fallback",
        }
    }
}

/// The features that moved a score most, strongest first; at most three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons {
    indices: [u8; 3],
    len: u8,
}

impl Reasons {
    /// The three largest of `contributions` by magnitude; those that moved nothing are left out, the lower index wins a tie.
    pub fn strongest(contributions: &[f64]) -> Self {
        // Strongest first.
        let (mut first, mut second, mut third) = ((0u8, 0.0f64), (0u8, 0.0f64), (0u8, 0.0f64));
        let mut len = 0;
        for (index, contribution) in contributions.iter().enumerate().take(FEATURES.len()) {
            let strength = contribution.abs();
            // What is not above zero, or no number, moved nothing.
            if strength > third.1 {
                // There are fewer than 256 features.
                third = (index as u8, strength);
                len = (len + 1).min(3);
            }
            if third.1 > second.1 {
                std::mem::swap(&mut second, &mut third);
            }
            if second.1 > first.1 {
                std::mem::swap(&mut first, &mut second);
            }
        }
        Self { indices: [first.0, second.0, third.0], len }
    }

    fn iter_indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.indices.iter().take(usize::from(self.len)).map(|&index| usize::from(index))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.iter_indices().filter_map(|index| FEATURES.get(index)).map(|spec| spec.name)
    }
}

/// A score with its receipt: whether the session (still) ends in a purchase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Before calibration, 0 to 1.
    pub p_raw: f64,
    /// Calibrated, 0 to 1; of a scorer without calibration the same as `p_raw`, and only a ranking.
    pub p: f64,
    /// Whether the person buys within seven days; `None` of a scorer that does not say.
    pub within_7_days: Option<Probability>,
    /// What moved `p` most.
    pub reasons: Reasons,
}

/// A probability before and after calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probability {
    /// Before calibration, 0 to 1.
    pub p_raw: f64,
    /// Calibrated, 0 to 1.
    pub p: f64,
}

/// Turns features into a probability. Pure: the same features give the same bits.
pub trait Scorer: Send + Sync {
    /// Name of the model.
    fn model(&self) -> &str;

    /// Version of the model.
    fn version(&self) -> &str;

    /// Version of the calibration; `none` where there is none.
    fn calibration_version(&self) -> &str;

    /// What part it plays.
    fn role(&self) -> Role;

    /// The feature schema it was made for; must equal [`crate::SCHEMA_HASH`].
    fn schema_hash(&self) -> u128;

    /// Scores one session.
    fn score(&self, features: &Features) -> Score;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_three_are_named() {
        let names = |contributions: &[f64]| Reasons::strongest(contributions).names().collect::<Vec<_>>();
        assert_eq!(names(&[0.0, 1.0, -3.0, 2.0, 0.5]), ["product_views", "list_views", "page_views"]);
        assert_eq!(names(&[1.0, 1.0]), ["events", "page_views"]);
        assert_eq!(names(&[1.0, 1.0, 1.0, 1.0, 2.0]), ["searches", "events", "page_views"]);
        assert_eq!(names(&[f64::NAN, -1.0, f64::INFINITY]), ["product_views", "page_views"]);
        assert!(names(&[0.0; 10]).is_empty());
    }
}
