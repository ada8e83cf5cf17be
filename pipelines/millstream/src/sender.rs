//! A collector's client: one request after another, patient where it is asked to be.

use std::time::Duration;

use crate::error::Failure;

/// Attempts for one request before giving up.
const ATTEMPTS: u32 = 30;

/// Sends request bodies to a collector.
pub struct Sender {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// What the collector said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It took the request.
    Taken {
        /// Events that it refused one by one.
        refused: u64,
    },
    /// It refused the request as a whole, for good.
    Refused,
}

impl Sender {
    /// A client of the collector at `url`.
    pub fn new(url: &str, write_key: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            agent,
            url: format!("{}/v1/events", url.trim_end_matches('/')),
            authorization: format!("Bearer {write_key}"),
        }
    }

    /// Sends one body; waits and tries again where the collector asks for patience or does not answer.
    ///
    /// # Errors
    /// Where it was not taken after many attempts.
    pub fn send(&self, body: &[u8]) -> Result<Answer, Failure> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let sent = self.agent.post(&self.url).header("authorization", &self.authorization).send(body);
            match sent {
                Ok(mut response) if response.status().is_success() => {
                    let answer = response.body_mut().read_to_string()?;
                    return Ok(Answer::Taken { refused: refused(&answer) });
                }
                Ok(response) if matches!(response.status().as_u16(), 429 | 503) => {
                    last = format!("status {}", response.status())
                }
                Ok(response) if response.status().as_u16() == 401 => {
                    return Err(Failure::new(format!("{}: the write key was refused", self.url)));
                }
                Ok(_) => return Ok(Answer::Refused),
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(100 * u64::from(attempt.min(10) + 1)));
        }
        Err(Failure::new(format!("{}: not taken after {ATTEMPTS} attempts ({last})", self.url)))
    }
}

/// How many events an answer refuses.
fn refused(answer: &str) -> u64 {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    answer.get("refused").and_then(serde_json::Value::as_u64).unwrap_or_default()
}
