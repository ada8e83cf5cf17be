//! The time of a row.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::columns::Columns;
use super::text::Table;
use super::value::{BadValue, ValueSpec};
use crate::error::MappingError;
use crate::read::Cells;

/// Where a row's time is and how it is written.
#[derive(Debug, Clone)]
pub(crate) struct TimeSpec {
    value: ValueSpec,
    format: TimeFormat,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum TimeFormat {
    /// RFC 3339 / ISO 8601, with an offset or `Z`, or without: then in the zone.
    Iso,
    EpochSeconds,
    EpochMilliseconds,
    /// strftime's letters.
    Pattern(String),
}

impl TimeSpec {
    /// Reads `[time]`.
    pub(crate) fn read(table: Table<'_>, columns: &mut Columns) -> Result<Self, MappingError> {
        table.only(&["column", "template", "json", "trim", "strip_prefix", "strip_suffix", "format", "zone"])?;
        let format = match table.text("format")?.unwrap_or("iso") {
            "iso" => TimeFormat::Iso,
            "epoch_s" => TimeFormat::EpochSeconds,
            "epoch_ms" => TimeFormat::EpochMilliseconds,
            pattern if pattern.contains('%') => TimeFormat::Pattern(pattern.to_owned()),
            other => {
                let message = format!(
                    "`format` is iso, epoch_s, epoch_ms or a pattern such as \"%Y-%m-%d %H:%M:%S\", not `{other}`"
                );
                return Err(table.get("format").map_or_else(|| table.error(&message), |node| node.error(&message)));
            }
        };
        let zone = match table.get("zone") {
            None => TimeZone::UTC,
            Some(node) => {
                let name = node.text("zone")?;
                TimeZone::get(name)
                    .map_err(|_| node.error(format!("`{name}` is no IANA time zone such as Europe/London")))?
            }
        };
        Ok(Self { value: ValueSpec::read_table(table, columns)?, format, zone })
    }

    /// The row's time in milliseconds since the epoch. Where the clock was put forward, a time in the gap counts as if the clock had
    /// not been; where it was put back, a time that came twice is the first.
    pub(crate) fn eval(&self, row: &Cells<'_>, scratch: &mut String) -> Result<i64, BadValue> {
        self.value.eval(row, scratch)?;
        let bad = |detail: String| BadValue { reason: "invalid_time", detail };
        if scratch.is_empty() {
            return Err(BadValue { reason: "missing_field", detail: "the row has no time".to_owned() });
        }
        let number = || scratch.parse::<i64>().map_err(|error| bad(format!("`{scratch}`: {error}")));
        let civil = |time: DateTime| {
            let ambiguous = self.zone.to_ambiguous_timestamp(time);
            let offset = match ambiguous.offset() {
                AmbiguousOffset::Unambiguous { offset } => offset,
                AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
            };
            offset.to_timestamp(time).map_err(|error| bad(format!("`{scratch}`: {error}")))
        };
        let time = match &self.format {
            TimeFormat::EpochMilliseconds => return number(),
            TimeFormat::EpochSeconds => {
                return number()?
                    .checked_mul(1_000)
                    .ok_or_else(|| bad(format!("`{scratch}` seconds are out of range")));
            }
            TimeFormat::Iso => match scratch.parse::<Timestamp>() {
                Ok(time) => time,
                Err(error) => {
                    let time = scratch.parse::<DateTime>().map_err(|_| bad(format!("`{scratch}`: {error}")))?;
                    civil(time)?
                }
            },
            TimeFormat::Pattern(pattern) => {
                let parsed = BrokenDownTime::parse(pattern, scratch.as_str())
                    .map_err(|_| bad(format!("`{scratch}` is not written as `{pattern}`")))?;
                match parsed.offset() {
                    Some(_) => parsed.to_timestamp().map_err(|error| bad(format!("`{scratch}`: {error}")))?,
                    None => civil(parsed.to_datetime().map_err(|error| bad(format!("`{scratch}`: {error}")))?)?,
                }
            }
        };
        Ok(time.as_millisecond())
    }
}
