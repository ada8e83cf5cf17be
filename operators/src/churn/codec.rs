//! The encoding of what was last told of churn, for snapshots.

use super::{Emitted, Tier};
use crate::core::encoding::{write, write_double};
use crate::core::{StateError, StateReader};

/// Places are part of the encoding: only append.
const TIERS: [Tier; 4] = [Tier::Active, Tier::Cooling, Tier::AtRisk, Tier::Lost];

impl Emitted {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write_double(out, self.p_active_90d);
        write::long(out, i64::from(self.day));
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
            p_active_90d: reader.double()?,
            day: reader.small()?,
            due_day: reader.optional(StateReader::small)?,
            tier: tier(reader.small()?)?,
        })
    }
}

fn tier(code: usize) -> Result<Tier, StateError> {
    TIERS.get(code).copied().ok_or_else(|| StateError::impossible(format!("churn tier {code}")))
}
