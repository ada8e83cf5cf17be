//! A running `millstream` service and its HTTP interface.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::Installation;

/// How long anything may take to appear. Generous: it is only waited for when something is broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service; it is stopped with the value.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// The collector's address, `http://127.0.0.1:…`.
    pub url: String,
    log: std::path::PathBuf,
}

/// A status and a body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body as JSON; null where it is not.
    pub body: Value,
}

impl Answer {
    /// The machine-readable reason of the whole request.
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

impl Service {
    /// Starts `millstream <command>` with a collector on free ports and waits until it is ready.
    pub fn start(installation: &Installation, command: &[&str]) -> Self {
        let (public, admin) = (free_port(), free_port());
        let log = installation.write("service.log", "");
        let mut run = installation.command();
        run.args(command)
            .env("MILLSTREAM__COLLECT__LISTEN", format!("127.0.0.1:{public}"))
            .env("MILLSTREAM__COLLECT__ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .env("MILLSTREAM__DELIVER__MAX_AGE_MS", "100")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        let mut service = Self { child: run.spawn().unwrap(), url: format!("http://127.0.0.1:{public}"), log };
        let started = Instant::now();
        while ureq::get(format!("{}/readyz", service.url)).call().is_err() {
            if let Some(status) = service.child.try_wait().unwrap() {
                panic!("the service ended with {status}:\n{}", service.said());
            }
            assert!(started.elapsed() < PATIENCE, "the service is not ready:\n{}", service.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    /// What it has written to standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Posts a body to `/v1/events` with the demo's key.
    pub fn post(&self, body: &[u8]) -> Answer {
        self.post_as(Some("demo-write-key"), body)
    }

    /// Posts with another key, or none.
    pub fn post_as(&self, key: Option<&str>, body: &[u8]) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = agent.post(format!("{}/v1/events", self.url)).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        Answer { status: response.status().as_u16(), body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    /// Posts as a client that goes on sending until it is stopped, and then reads what it was told; the status.
    pub fn post_stubbornly(&self, body: &[u8]) -> u16 {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer demo-write-key\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for part in body.chunks(1 << 16) {
            if stream.write_all(part).is_err() {
                break;
            }
        }
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// Sends events, all of which the collector must accept.
    pub fn send(&self, events: &Value) {
        let count = events.as_array().map_or(0, Vec::len);
        let answer = self.post(serde_json::json!({ "events": events }).to_string().as_bytes());
        assert_eq!((answer.status, answer.body["accepted"].as_u64()), (200, Some(count as u64)), "{answer:?}");
    }

    /// Waits until a query gives these rows.
    pub fn wait_for(&self, installation: &Installation, sql: &str, expected: &str) {
        let started = Instant::now();
        loop {
            let got = installation.try_query(sql).map(|rows| rows.join("\n"));
            if got.as_deref() == Ok(expected) {
                return;
            }
            let said = || format!("{sql}\n  expected: {expected:?}\n  got:      {got:?}\n{}", self.said());
            assert!(started.elapsed() < PATIENCE, "{}", said());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Stops it as an operator does, with SIGTERM, and waits for its end.
    pub fn stop(mut self) {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the service ended with {status}:\n{}", self.said());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback address on which nothing listens now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The machine's clock, milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
