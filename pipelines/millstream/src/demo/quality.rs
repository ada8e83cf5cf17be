//! How well a score ranks, beside the base rate.

/// A score and what then happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The score.
    pub score: f64,
    /// Whether the session bought afterwards.
    pub bought: bool,
}

/// Area under the ROC curve by ranks, ties counted half (Mann–Whitney U / (positives × negatives)). `None` where one class is empty.
pub fn auc(scored: &[Scored]) -> Option<f64> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let positives = sorted.iter().filter(|one| one.bought).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < sorted.len() {
        let ties = sorted[start..].iter().take_while(|one| one.score == sorted[start].score).count();
        let rank = start as f64 + (ties as f64 + 1.0) / 2.0;
        rank_sum += rank * sorted[start..start + ties].iter().filter(|one| one.bought).count() as f64;
        start += ties;
    }
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Share of those that bought.
pub fn base_rate(scored: &[Scored]) -> Option<f64> {
    let bought = scored.iter().filter(|one| one.bought).count();
    (!scored.is_empty()).then(|| bought as f64 / scored.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::{Scored, auc, base_rate};

    fn of(pairs: &[(f64, bool)]) -> Vec<Scored> {
        pairs.iter().map(|&(score, bought)| Scored { score, bought }).collect()
    }

    #[test]
    fn auc_counts_ordered_pairs_and_half_the_ties() {
        assert_eq!(auc(&of(&[(0.1, false), (0.9, true)])), Some(1.0));
        assert_eq!(auc(&of(&[(0.9, false), (0.1, true)])), Some(0.0));
        assert_eq!(auc(&of(&[(0.5, false), (0.5, true)])), Some(0.5));
        // Pairs (positive, negative): .8>.4, .8>.5, .4=.4, .4<.5: 2.5 of 4.
        assert_eq!(auc(&of(&[(0.4, false), (0.5, false), (0.8, true), (0.4, true)])), Some(0.625));
        assert_eq!(auc(&of(&[(0.4, false)])), None);
    }

    #[test]
    fn base_rate_is_the_share_of_buyers() {
        assert_eq!(base_rate(&of(&[(0.4, false), (0.5, true)])), Some(0.5));
        assert_eq!(base_rate(&[]), None);
    }
}
