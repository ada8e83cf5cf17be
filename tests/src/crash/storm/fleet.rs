//! The processes under the storm: each a `millstream` of its own, started again whenever it is gone, as a supervisor does.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary::Installation;
use crate::service::free_port;

/// What stands in a log where a process was started.
const LIFE: &str = "=== started by the storm";
/// What a worker says of a partition that went on from a snapshot, and of every partition it takes.
const RESTORED: &str = "restored from a snapshot";
const TASK_STARTS: &str = "task starts;";

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// It runs.
    Up,
    /// It was killed, or ended by itself.
    Down,
    /// SIGSTOP.
    Stopped,
}

/// One process and its successors.
#[derive(Debug)]
pub struct Node {
    /// Its name: `collector`, `worker-a`…
    pub name: &'static str,
    /// What it is now.
    pub is: Is,
    arguments: &'static [&'static str],
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A process that is not started yet.
    pub fn new(installation: &Installation, name: &'static str, arguments: &'static [&'static str]) -> Self {
        let listen = |key: &str| (format!("MILLSTREAM__COLLECT__{key}"), format!("127.0.0.1:{}", free_port()));
        let variables =
            vec![("MILLSTREAM__INSTANCE".to_owned(), name.to_owned()), listen("LISTEN"), listen("ADMIN_LISTEN")];
        let log = installation.write(&format!("{name}.log"), "");
        Self { name, is: Is::Down, arguments, variables, log, child: None }
    }

    /// Overrides a key of its configuration.
    pub fn set(&mut self, key: &str, value: &str) {
        self.variables.push((format!("MILLSTREAM__{key}"), value.to_owned()));
    }

    /// The address of its collector.
    pub fn url(&self) -> String {
        format!("http://{}", self.variables[1].1)
    }

    /// Starts it.
    pub fn start(&mut self, installation: &Installation) {
        let mut log = OpenOptions::new().append(true).open(&self.log).unwrap();
        writeln!(log, "{LIFE}").unwrap();
        let mut command = installation.command();
        command.args(self.arguments).envs(self.variables.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.is = Is::Up;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.is = Is::Down;
    }

    /// SIGSTOP or SIGCONT.
    pub fn hold(&mut self, stop: bool) {
        self.signal(if stop { "-STOP" } else { "-CONT" });
        self.is = if stop { Is::Stopped } else { Is::Up };
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(sent.success(), "{signal} did not reach {}", self.name);
        }
    }

    /// Why it ended by itself, where it did.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        self.is = Is::Down;
        let said = self.said();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        Some(format!("{status}: {last}"))
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// Where it does not end within `patience`, or not well.
    pub fn stop(&mut self, patience: Duration) -> Result<(), String> {
        self.signal("-TERM");
        let started = Instant::now();
        let Some(mut child) = self.child.take() else { return Err(format!("{} does not run", self.name)) };
        self.is = Is::Down;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let why = || format!("{} ended with {status}:\n{}", self.name, self.tail());
                return if status.success() { Ok(()) } else { Err(why()) };
            }
            if started.elapsed() > patience {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} did not end within {patience:?}:\n{}", self.name, self.tail()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything that it and its predecessors said.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// How its lives began.
    pub fn lives(&self) -> Lives {
        let said = self.said();
        let mut lives = Lives::default();
        for life in said.split(LIFE).skip(1) {
            lives.starts += 1;
            let restored = life.matches(RESTORED).count();
            lives.restored_starts += usize::from(restored > 0);
            lives.tasks += life.matches(TASK_STARTS).count();
            lives.restored_tasks += restored;
        }
        lives
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How often a process began, and with what.
#[derive(Debug, Default, Clone, Copy)]
pub struct Lives {
    /// Starts.
    pub starts: usize,
    /// Starts after which at least one partition went on from a snapshot.
    pub restored_starts: usize,
    /// Partitions taken, by starts and by rebalances.
    pub tasks: usize,
    /// Those that went on from a snapshot.
    pub restored_tasks: usize,
}
