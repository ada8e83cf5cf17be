//! A site's calendar days.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

const DAY_MS: i64 = 86_400_000;

/// The database that is compiled in, never the machine's.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Days and midnights of a time zone. Days are counted from 1970-01-01.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDays {
    zone: TimeZone,
}

impl SiteDays {
    /// The days of an IANA time zone; `None` where there is none of that name.
    pub fn of_zone(name: &str) -> Option<Self> {
        ZONES.get(name).ok().map(|zone| Self { zone })
    }

    /// The days of UTC.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// The day that `time_ms` (UTC) is in.
    pub fn day_of(&self, time_ms: i64) -> i32 {
        let offset_ms = Timestamp::from_millisecond(time_ms)
            .map_or(0, |time| i64::from(self.zone.to_offset(time).seconds()) * 1_000);
        let day = time_ms.saturating_add(offset_ms).div_euclid(DAY_MS);
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    }

    /// The first moment of `day`, milliseconds UTC: 00:00, or the first time there is where the clock skips that.
    pub fn midnight_ms(&self, day: i32) -> i64 {
        let utc_ms = i64::from(day) * DAY_MS;
        let Ok(time) = Timestamp::from_millisecond(utc_ms) else { return utc_ms };
        let midnight = TimeZone::UTC.to_datetime(time);
        // Years beyond the calendar's end have no zone.
        self.zone.to_ambiguous_timestamp(midnight).compatible().map_or(utc_ms, |time| time.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn days_follow_the_clock_of_the_zone() {
        let berlin = SiteDays::of_zone("Europe/Berlin").unwrap();
        // 2024-03-31 is 23 hours long, 2024-10-27 is 25.
        let day = |year_day: i32| 19_723 + year_day;
        for (at, hours) in [(90, 23), (300, 25), (10, 24)] {
            let length = berlin.midnight_ms(day(at) + 1) - berlin.midnight_ms(day(at));
            assert_eq!(length, hours * HOUR_MS, "day {at}");
        }
        // Midnight of 1 January 2024 in Berlin is 23:00 UTC of the day before.
        assert_eq!(berlin.midnight_ms(day(0)), 1_704_063_600_000);
        assert_eq!(berlin.day_of(1_704_063_599_999), day(0) - 1);
    }

    #[test]
    fn a_day_may_begin_at_one_o_clock() {
        // Beirut puts the clock forward at midnight.
        let beirut = SiteDays::of_zone("Asia/Beirut").unwrap();
        let day = 19_812; // 2024-03-30
        let next = beirut.midnight_ms(day + 1);
        assert_eq!((beirut.day_of(next), beirut.day_of(next - 1)), (day + 1, day));
        assert_eq!(beirut.midnight_ms(day + 2) - next, 23 * HOUR_MS);
    }

    #[test]
    fn unknown_zones_are_none() {
        assert_eq!(SiteDays::of_zone("Europe/Atlantis"), None);
        assert_eq!(SiteDays::of_zone("UTC").unwrap().midnight_ms(1), DAY_MS);
    }

    proptest! {
        #[test]
        fn a_time_lies_between_its_days_midnights(time_ms in any::<i64>(), zone in 0..4usize, day in -30_000..60_000i32) {
            let zone = ["UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Auckland"][zone];
            let days = SiteDays::of_zone(zone).unwrap();
            days.midnight_ms(days.day_of(time_ms)); // never panics, however far out
            let midnight = days.midnight_ms(day);
            prop_assert_eq!(days.day_of(midnight), day);
            prop_assert_eq!(days.day_of(midnight - 1), day - 1);
            prop_assert!(midnight < days.midnight_ms(day + 1));
        }
    }
}
