//! A `millstream` process that is watched, and killed when it has come so far.

use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::binary::Installation;

/// How long anything may take. Generous: it is waited for in full only when something is broken.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at a running process.
const LOOK: Duration = Duration::from_millis(3);

/// A running command; it is killed with the value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the binary with these arguments.
    pub fn start(installation: &Installation, arguments: &[&str]) -> Self {
        let mut command = installation.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, said, listener: Some(listener) }
    }

    /// Whether a line that contains `words` was written.
    pub fn has_said(&self, words: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(words))
    }

    /// Everything written so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until `reached` is true of the running process.
    ///
    /// # Panics
    /// Where the process ends before, or it takes for ever.
    pub fn until(&mut self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !reached(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.listen_to_the_end();
                panic!("ended with {status} before {what}:\n{}", self.said());
            }
            assert!(started.elapsed() < PATIENCE, "never came to {what}:\n{}", self.said());
            std::thread::sleep(LOOK);
        }
    }

    /// SIGKILL: no destructor, no flush. Returns all that the process had said.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.listen_to_the_end();
        assert!(status.code().is_none(), "it had ended by itself ({status}) before it was killed:\n{}", self.said());
        self.said()
    }

    /// Waits for its own end. Returns how it ended and all that it said.
    pub fn end(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "does not end:\n{}", self.said());
            std::thread::sleep(LOOK);
        };
        self.listen_to_the_end();
        (status, self.said())
    }

    /// Waits for its end, which must be a success.
    pub fn finish(self) -> String {
        let (status, said) = self.end();
        assert!(status.success(), "ended with {status}:\n{said}");
        said
    }

    fn listen_to_the_end(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
