//! A task's watermark: the minimum over its upstreams.

use super::encoding::{StateError, StateReader, write, write_list};

/// Why an announcement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatermarkError {
    /// The numbers contradict each other or what is configured.
    #[error("watermark of upstream {upstream} of {upstreams}; this task has {expected} upstreams")]
    UnknownUpstream {
        /// Who announced.
        upstream: i32,
        /// How many there are, it says.
        upstreams: i32,
        /// How many this task knows of.
        expected: u32,
    },
}

#[derive(Debug, Clone, Default)]
struct State {
    /// By upstream; `i64::MIN` where it has not announced.
    announced_ms: Vec<i64>,
}

/// Holds what each upstream has announced. Time stands still until all have.
#[derive(Debug, Default)]
pub struct WatermarkGate {
    state: State,
    saved: Option<State>,
}

/// What a watermark is called before all upstreams have announced: the epoch, in records.
pub const UNKNOWN_MS: i64 = i64::MIN;

/// A watermark for people: UTC.
pub fn text(watermark_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(watermark_ms) {
        Ok(time) if watermark_ms != UNKNOWN_MS => time.to_string(),
        _ => "unknown".to_owned(),
    }
}

/// Upstreams at most: partitions of a topic.
const UPSTREAMS_MAX: i32 = 65_536;

/// Version of the encoding.
const VERSION: u8 = 1;

impl WatermarkGate {
    /// Nothing announced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an announcement in; an upstream's time never goes back.
    pub fn announce(&mut self, upstream: i32, upstreams: i32, time_ms: i64) -> Result<(), WatermarkError> {
        let known = self.state.announced_ms.len();
        let fits = (1..=UPSTREAMS_MAX).contains(&upstreams)
            && (0..upstreams).contains(&upstream)
            && (known == 0 || known == upstreams as usize);
        if !fits {
            return Err(WatermarkError::UnknownUpstream { upstream, upstreams, expected: known as u32 });
        }
        if self.saved.is_none() {
            self.saved = Some(self.state.clone());
        }
        if known == 0 {
            self.state.announced_ms = vec![UNKNOWN_MS; upstreams as usize];
        }
        if let Some(announced) = self.state.announced_ms.get_mut(upstream as usize) {
            *announced = time_ms.max(*announced);
        }
        Ok(())
    }

    /// Appends what was announced, for a snapshot. Nothing may be open that could be undone.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write_list(out, &self.state.announced_ms, |out, time_ms| write::long(out, *time_ms));
    }

    /// Reads what [`WatermarkGate::encode`] wrote, in this version of it or an older one.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let announced_ms = reader.list("upstreams", UPSTREAMS_MAX as usize, StateReader::long)?;
        reader.finish()?;
        Ok(Self { state: State { announced_ms }, saved: None })
    }

    /// The minimum over all upstreams, milliseconds UTC; [`UNKNOWN_MS`] until all have announced.
    pub fn current_ms(&self) -> i64 {
        self.state.announced_ms.iter().copied().min().unwrap_or(UNKNOWN_MS)
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.saved = None;
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        if let Some(saved) = self.saved.take() {
            self.state = saved;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_minimum_once_all_have_announced() {
        let mut gate = WatermarkGate::new();
        gate.announce(1, 2, 50).unwrap();
        assert_eq!(gate.current_ms(), UNKNOWN_MS);
        gate.announce(0, 2, 70).unwrap();
        assert_eq!(gate.current_ms(), 50);
        gate.announce(1, 2, 40).unwrap();
        assert_eq!(gate.current_ms(), 50, "time does not go back");
        gate.commit();
        gate.announce(1, 2, 60).unwrap();
        assert_eq!(gate.current_ms(), 60);
        gate.undo();
        assert_eq!(gate.current_ms(), 50);
    }

    #[test]
    fn what_was_announced_is_read_back() {
        let mut gate = WatermarkGate::new();
        for announced in 0..3 {
            let mut bytes = Vec::new();
            gate.encode(&mut bytes);
            let mut read = WatermarkGate::decode(&bytes).unwrap();
            assert_eq!((read.current_ms(), &read.state.announced_ms), (gate.current_ms(), &gate.state.announced_ms));
            read.undo();
            assert_eq!(read.current_ms(), gate.current_ms(), "there is nothing to take back");
            gate.announce(announced % 2, 2, 50 + i64::from(announced)).unwrap();
            gate.commit();
        }
        assert!(WatermarkGate::decode(&[1]).is_err() && WatermarkGate::decode(&[9, 0]).is_err());
    }

    #[test]
    fn refuses_upstreams_that_cannot_be() {
        let mut gate = WatermarkGate::new();
        for (upstream, upstreams) in [(0, 0), (2, 2), (-1, 2), (0, -5), (0, 1_000_000)] {
            assert!(gate.announce(upstream, upstreams, 1).is_err());
        }
        gate.announce(0, 2, 1).unwrap();
        assert!(gate.announce(0, 3, 1).is_err());
    }
}
