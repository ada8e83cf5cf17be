//! The system under test: one `millstream run` process with every service, on the real servers.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WRITE_KEY: &str = "demo-write-key";

/// How the system is to be made.
pub struct Setup<'a> {
    /// What precedes its namespace and database.
    pub label: &'a str,
    /// Kafka's address; without it the embedded log is used.
    pub brokers: Option<&'a str>,
    /// ClickHouse's HTTP address; without it the embedded warehouse is used.
    pub clickhouse: Option<&'a str>,
    /// The `millstream` binary; by default the one beside this program.
    pub binary: Option<&'a Path>,
}

/// A running process in a namespace and database of its own.
pub struct System {
    child: Child,
    name: String,
    /// The collector's address.
    pub url: String,
    /// Where metrics are.
    pub admin_url: String,
    /// Keeps the data directory until the end.
    _folder: tempfile::TempDir,
}

impl System {
    /// Makes topics and tables, starts the process and waits until it is ready.
    pub fn start(setup: &Setup<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("{}_{}", setup.label, std::process::id());
        let beside = std::env::current_exe().expect("this program has a path").with_file_name("millstream");
        let binary = setup.binary.map_or(beside, Path::to_owned);
        assert!(binary.is_file(), "{}: build it: cargo build --release -p millstream", binary.display());
        let (public, admin) = (free_port(), free_port());
        let command = |arguments: &[&str]| {
            let mut command = Command::new(&binary);
            command.args(arguments).env("MILLSTREAM_DATA_DIR", folder.path());
            for (key, value) in [
                ("TRANSPORT", if setup.brokers.is_some() { "kafka" } else { "embedded" }),
                ("KAFKA__BROKERS", setup.brokers.unwrap_or("127.0.0.1:9092")),
                ("KAFKA__DEVELOPMENT", "true"),
                ("NAMESPACE", &format!("{name}.")),
                ("WAREHOUSE", if setup.clickhouse.is_some() { "clickhouse" } else { "embedded" }),
                ("CLICKHOUSE__URL", setup.clickhouse.unwrap_or("http://127.0.0.1:8123")),
                ("CLICKHOUSE__DATABASE", &name),
                ("COLLECT__LISTEN", &format!("127.0.0.1:{public}")),
                ("COLLECT__ADMIN_LISTEN", &format!("127.0.0.1:{admin}")),
            ] {
                command.env(format!("MILLSTREAM__{key}"), value);
            }
            command
        };
        for step in ["topics", "migrate"] {
            let status = command(&[step]).stdout(Stdio::null()).status().expect("the binary starts");
            assert!(status.success(), "millstream {step} failed");
        }
        let mut child = command(&["run"]).stderr(Stdio::piped()).spawn().expect("the binary starts");
        // Its log must be read, or it would stop at a full pipe.
        let log = child.stderr.take().expect("it was piped");
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if line.contains("ERROR") {
                    println!("{line}");
                }
            }
        });
        let (url, admin_url) = (format!("http://127.0.0.1:{public}"), format!("http://127.0.0.1:{admin}"));
        let started = Instant::now();
        while ureq::get(format!("{url}/readyz")).call().is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the service is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, name, url, admin_url, _folder: folder }
    }

    /// A topic's full name.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// The database of its tables.
    pub fn database(&self) -> &str {
        &self.name
    }

    /// A client of the collector.
    pub fn client(&self) -> Client {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().into();
        Client { agent, url: format!("{}/v1/events", self.url), authorization: format!("Bearer {WRITE_KEY}") }
    }

    /// Its memory that is resident now, in bytes; `None` where the system does not tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
    }

    /// Ends it in order and waits.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its events are in the log.
    Taken,
    /// It is to be sent again later, with the same ids: 429, 503, or no answer at all (0).
    Later(u16),
}

/// One connection.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    /// Sends a body once.
    pub fn try_send(&self, body: &str) -> Answer {
        match self.agent.post(&self.url).header("authorization", &self.authorization).send(body) {
            Ok(_) => Answer::Taken,
            Err(ureq::Error::StatusCode(status @ (429 | 503))) => Answer::Later(status),
            Err(ureq::Error::StatusCode(status)) => panic!("the collector refused with {status}"),
            Err(_) => Answer::Later(0),
        }
    }

    /// Sends a body until the collector has taken it: 429 asks for patience.
    pub fn send(&self, body: &str) {
        while self.try_send(body) != Answer::Taken {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
