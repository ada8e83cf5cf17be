//! Revisions: which record of a key is the current one. No counter is stored; a revision is made of what is known anyway.

/// Bits of the input offset.
const OFFSET_BITS: u32 = 48;
/// The largest input offset a revision can hold: 281 million million.
pub const MAX_OFFSET: i64 = (1 << OFFSET_BITS) - 1;
/// The largest hand-over count. A revision is a signed 64-bit integer everywhere, so its highest bit stays clear.
pub const MAX_HAND_OVERS: u16 = i16::MAX as u16;

/// The revision made of a source's hand-over count (high 16 bits) and the input offset (low 48). `None` beyond the limits.
#[inline]
pub fn compose(hand_overs: u16, offset: i64) -> Option<i64> {
    (hand_overs <= MAX_HAND_OVERS && (0..=MAX_OFFSET).contains(&offset))
        .then_some(i64::from(hand_overs) << OFFSET_BITS | offset)
}

/// The hand-over count and the input offset of a revision.
#[inline]
pub fn split(revision: i64) -> (u16, i64) {
    ((revision as u64 >> OFFSET_BITS) as u16, revision & MAX_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_what_it_composed_and_grows_with_both_parts() {
        for hand_overs in [0, 1, 77, MAX_HAND_OVERS] {
            for offset in [0, 1, 123_456_789, MAX_OFFSET] {
                assert_eq!(compose(hand_overs, offset).map(split), Some((hand_overs, offset)));
            }
        }
        assert!(compose(1, 0) > compose(0, MAX_OFFSET));
        assert!(compose(3, 8) > compose(3, 7));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(compose(0, -1), None);
        assert_eq!(compose(0, MAX_OFFSET + 1), None);
        assert_eq!(compose(MAX_HAND_OVERS + 1, 0), None);
    }
}
