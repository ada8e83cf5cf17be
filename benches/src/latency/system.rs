//! The system under test: one `millstream run` process with every service, on the real servers.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Options;

const WRITE_KEY: &str = "demo-write-key";

/// A running process in a namespace and database of its own.
pub struct System {
    child: Child,
    name: String,
    pub url: String,
    /// Keeps the data directory until the end.
    _folder: tempfile::TempDir,
}

impl System {
    pub fn start(options: &Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("latency_{}", std::process::id());
        let beside = std::env::current_exe().expect("this program has a path").with_file_name("millstream");
        let binary = options.millstream.clone().unwrap_or(beside);
        assert!(binary.is_file(), "{}: build it: cargo build --release -p millstream", binary.display());
        let (public, admin) = (free_port(), free_port());
        let command = |arguments: &[&str]| {
            let mut command = Command::new(&binary);
            command.args(arguments).env("MILLSTREAM_DATA_DIR", folder.path());
            for (key, value) in [
                ("TRANSPORT", "kafka"),
                ("KAFKA__BROKERS", &options.brokers),
                ("KAFKA__DEVELOPMENT", "true"),
                ("NAMESPACE", &format!("{name}.")),
                ("WAREHOUSE", if options.clickhouse.is_some() { "clickhouse" } else { "embedded" }),
                ("CLICKHOUSE__URL", options.clickhouse.as_deref().unwrap_or("http://127.0.0.1:8123")),
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
        let url = format!("http://127.0.0.1:{public}");
        let started = Instant::now();
        while ureq::get(format!("{url}/readyz")).call().is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the service is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, name, url, _folder: folder }
    }

    /// A topic's full name.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    pub fn database(&self) -> &str {
        &self.name
    }

    /// A client of the collector.
    pub fn client(&self) -> Client {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().into();
        Client { agent, url: format!("{}/v1/events", self.url), authorization: format!("Bearer {WRITE_KEY}") }
    }

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

/// One connection.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    /// Sends a body until the collector has taken it: 429 asks for patience.
    pub fn send(&self, body: &str) {
        loop {
            match self.agent.post(&self.url).header("authorization", &self.authorization).send(body) {
                Ok(_) => return,
                Err(ureq::Error::StatusCode(429 | 503)) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("the collector refused: {error}"),
            }
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
