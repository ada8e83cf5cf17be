//! The encoding of what was last told of value, for snapshots.

use super::{Emitted, Tier};
use crate::core::encoding::write;
use crate::core::{StateError, StateReader};

/// Places are part of the encoding: only append.
const TIERS: [Tier; 4] = [Tier::High, Tier::Medium, Tier::Low, Tier::None];

impl Emitted {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.trailing_minor.iter().for_each(|sum| write::long(out, *sum));
        write::long(out, self.clv_365d_minor);
        write::long(out, self.clv_365d_at_first_minor);
        write::long(out, i64::from(self.day));
        write::long(out, i64::from(self.last_full_day));
        write::optional(out, self.due_day, |out, day| write::long(out, i64::from(day)));
        let tier = TIERS.iter().position(|tier| *tier == self.tier).unwrap_or_default();
        write::long(out, tier as i64);
    }

    /// Reads what [`Emitted::encode`] wrote.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn decode(reader: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(Self {
            trailing_minor: [reader.long()?, reader.long()?, reader.long()?],
            clv_365d_minor: reader.long()?,
            clv_365d_at_first_minor: reader.long()?,
            day: reader.small()?,
            last_full_day: reader.small()?,
            due_day: reader.optional(StateReader::small)?,
            tier: tier(reader.small()?)?,
        })
    }
}

fn tier(code: usize) -> Result<Tier, StateError> {
    TIERS.get(code).copied().ok_or_else(|| StateError::impossible(format!("value tier {code}")))
}
