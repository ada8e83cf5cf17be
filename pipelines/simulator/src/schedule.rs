//! When sessions begin: a rhythm of the day and of the week.

use crate::config::{DAY_MS, HOUR_MS, SimConfig};
use crate::person::Person;
use crate::random::{PPM, Random};

const SCHEDULE: u64 = 0x7363_6865;

/// Weight of each hour (UTC): few at night, most in the evening.
const HOURS: [u64; 24] = [8, 5, 3, 3, 3, 6, 14, 28, 40, 46, 50, 54, 60, 56, 50, 48, 52, 60, 74, 88, 92, 78, 46, 20];
/// Percent of an average day, Monday first.
const WEEKDAYS: [u64; 7] = [96, 92, 94, 98, 88, 108, 124];
/// Two sessions of one person begin at least this far apart.
const APART_MS: i64 = 2 * HOUR_MS;

/// A session that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planned {
    pub(crate) start_ms: i64,
    pub(crate) person: u32,
}

/// All sessions of a day, in order.
pub(crate) fn day(config: &SimConfig, day: u16) -> Vec<Planned> {
    let midnight_ms = config.start_ms + i64::from(day) * DAY_MS;
    // 1970-01-01 was a Thursday.
    let weekday = ((midnight_ms / DAY_MS + 3).rem_euclid(7)) as usize;
    let percent = WEEKDAYS.get(weekday).copied().unwrap_or(100);
    let mut planned = Vec::new();
    for person in 0..config.people {
        let mut random = Random::of(&[config.seed, SCHEDULE, u64::from(day), u64::from(person)]);
        let expected_ppm = Person::of(config.seed, person).sessions_ppm * percent / 100;
        let mut count = expected_ppm / PPM;
        count += u64::from(random.chance(expected_ppm % PPM));
        let mut starts: Vec<i64> = (0..count)
            .map(|_| midnight_ms + random.weighted(&HOURS) as i64 * HOUR_MS + random.below(HOUR_MS as u64) as i64)
            .collect();
        starts.sort_unstable();
        starts.dedup_by(|later, earlier| *later - *earlier < APART_MS);
        planned.extend(starts.into_iter().map(|start_ms| Planned { start_ms, person }));
    }
    planned.sort_unstable();
    planned
}
