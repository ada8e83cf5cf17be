//! The warehouse: taken down and brought back, and asked for the rows at the end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Options, sleep_until};

/// A development server.
pub struct Warehouse {
    url: String,
    /// The command and the data directory by which it is killed and started.
    server: Option<(PathBuf, PathBuf)>,
}

/// What is wrong with the rows.
pub struct Found {
    /// Acknowledged events without a row.
    pub missing: usize,
    /// Events with several rows, acknowledged or not.
    pub twice: usize,
}

impl Warehouse {
    pub fn of(options: &Options) -> Self {
        let server = options.clickhouse_data.clone().map(|data| (options.dev_clickhouse.clone(), data));
        Self { url: options.clickhouse.clone(), server }
    }

    /// Kills it at this time, and starts it again so many seconds later.
    pub fn outage(&self, at: Instant, seconds: u64) {
        sleep_until(at);
        self.run("kill");
        sleep_until(at + Duration::from_secs(seconds));
        self.run("start");
    }

    /// Ends the server that was started here: whoever started the first one does not know it.
    pub fn stop(&self) {
        self.run("stop");
    }

    fn run(&self, what: &str) {
        let Some((command, data)) = &self.server else { return };
        let status = Command::new(command).arg(what).arg("--data").arg(data).stdout(Stdio::null()).status();
        assert!(status.expect("the command starts").success(), "{} {what} failed", command.display());
    }

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
