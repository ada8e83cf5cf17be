//! The warehouse: asked for the rows at the end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use millstream_benches::system::System;

use crate::samples::lag;

/// Offsets of all topics that wait for the warehouse at 2,000 events/s: several times what it is before the burst, transaction markers counted.
const LAG_AT_REST: u64 = 20_000;

/// ClickHouse.
pub struct Warehouse {
    /// Its HTTP address.
    pub url: String,
}

/// What is wrong with the rows.
pub struct Found {
    /// Acknowledged events without a row.
    pub missing: usize,
    /// Events with several rows, acknowledged or not.
    pub twice: usize,
}

impl Warehouse {
    /// Waits until the log is worked off: what is delivered lags no more than it did before the burst, and every acknowledged event is a row.
    /// How long that took. The number of rows does not tell: events are taken in whose senders were not told in time.
    pub fn wait_for(&self, system: &System, acknowledged: &[String], at_most_s: u64) -> Duration {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(at_most_s) {
            let caught_up = lag(system).is_some_and(|records| records < LAG_AT_REST);
            if caught_up && self.compare(system.database(), acknowledged).missing == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        started.elapsed()
    }

    /// Compares the rows with our own list.
    pub fn compare(&self, database: &str, acknowledged: &[String]) -> Found {
        let mut rows: HashMap<String, u32> = HashMap::new();
        let ids = self.ask(&format!("SELECT event_id FROM {database}.events")).expect("the warehouse answers");
        ids.for_each(|id| *rows.entry(id).or_default() += 1);
        Found {
            missing: acknowledged.iter().filter(|id| !rows.contains_key(*id)).count(),
            twice: rows.values().filter(|count| **count > 1).count(),
        }
    }

    /// The answer's lines; `None` where there is none.
    fn ask(&self, sql: &str) -> Option<impl Iterator<Item = String> + use<>> {
        let answer = ureq::post(&self.url).send(sql).ok()?;
        Some(BufReader::new(answer.into_body().into_reader()).lines().map_while(Result::ok))
    }
}
