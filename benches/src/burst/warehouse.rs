//! The warehouse: asked for the rows at the end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

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
    /// Waits until so many events are there. How long that took.
    pub fn wait_for(&self, database: &str, events: usize, at_most_s: u64) -> Duration {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(at_most_s) {
            let answer = self.ask(&format!("SELECT count() FROM {database}.events"));
            let rows = answer.and_then(|mut lines| lines.next()?.trim().parse::<usize>().ok());
            if rows.is_some_and(|rows| rows >= events) {
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
