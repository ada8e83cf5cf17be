//! The encoding of a summary, on its way to another partition and in snapshots: part of the source's state.

use super::Visits;
use crate::core::encoding::{StateError, StateReader, write};

impl Visits {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write::long(out, i64::from(self.sessions));
        if self.is_empty() {
            return;
        }
        write::long(out, self.first_seen_ms);
        write::long(out, self.last_seen_ms);
        for count in [
            self.page_views,
            self.engaged_ms,
            self.engagement_hundredths,
            self.country_s,
            self.last_scored,
            self.last_scored_order,
            u32::from(self.scored_sessions),
            u32::from(self.scored_orders),
        ] {
            write::long(out, i64::from(count));
        }
        write::bytes(out, &self.country);
        write::bytes(out, &[self.first_channel, self.last_channel, self.last_device_class, self.consent]);
    }

    /// Reads what [`Visits::encode`] wrote.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn decode(reader: &mut StateReader<'_>) -> Result<Self, StateError> {
        let sessions = reader.small()?;
        if sessions == 0 {
            return Ok(Self::default());
        }
        let (first_seen_ms, last_seen_ms) = (reader.long()?, reader.long()?);
        let mut visits = Self {
            sessions,
            first_seen_ms,
            last_seen_ms,
            page_views: reader.small()?,
            engaged_ms: reader.small()?,
            engagement_hundredths: reader.small()?,
            country_s: reader.small()?,
            last_scored: reader.small()?,
            last_scored_order: reader.small()?,
            scored_sessions: reader.small()?,
            scored_orders: reader.small()?,
            country: reader.array()?,
            ..Self::default()
        };
        [visits.first_channel, visits.last_channel, visits.last_device_class, visits.consent] = reader.array()?;
        Ok(visits)
    }
}
