//! The encoding of a summary on its way to another partition: part of the source's state.

use millstream_schemas::avro::{DecodeErrorKind, Reader, write};

use super::Visits;

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
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeErrorKind> {
        let sessions = read(reader)?;
        if sessions == 0 {
            return Ok(Self::default());
        }
        let (first_seen_ms, last_seen_ms) = (reader.long()?, reader.long()?);
        let mut visits = Self {
            sessions,
            first_seen_ms,
            last_seen_ms,
            page_views: read(reader)?,
            engaged_ms: read(reader)?,
            engagement_hundredths: read(reader)?,
            country_s: read(reader)?,
            last_scored: read(reader)?,
            last_scored_order: read(reader)?,
            scored_sessions: read(reader)?,
            scored_orders: read(reader)?,
            country: reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?,
            ..Self::default()
        };
        [visits.first_channel, visits.last_channel, visits.last_device_class, visits.consent] =
            reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?;
        Ok(visits)
    }
}

fn read<T: TryFrom<i64>>(reader: &mut Reader<'_>) -> Result<T, DecodeErrorKind> {
    T::try_from(reader.long()?).map_err(|_| DecodeErrorKind::IntegerOverflow)
}
