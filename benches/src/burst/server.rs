//! A development server that is killed and started again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sleep_until;

/// A server that `scripts/dev-*` started.
pub struct Server {
    /// The command, for example `scripts/dev-kafka`.
    pub command: PathBuf,
    /// The data directory by which the command knows it.
    pub data: PathBuf,
}

impl Server {
    /// Kills it at this time, and starts it again so many seconds later.
    pub fn outage(&self, at: Instant, seconds: u64) {
        if seconds == 0 {
            return;
        }
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
        let Self { command, data } = self;
        let status = Command::new(command).arg(what).arg("--data").arg(data).stdout(Stdio::null()).status();
        assert!(status.expect("the command starts").success(), "{} {what} failed", command.display());
    }
}
