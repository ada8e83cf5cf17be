//! How far this input partition has come, and when to say so.
//!
//! The watermark is the running maximum of the input's time less a bound for what is still on its way. It fires timers downstream
//! and never drops an event.

use millstream_operators::core::encoding::write;
use millstream_operators::core::{StateError, StateReader};

/// Announced at most once per this much advance of the watermark.
pub const ANNOUNCE_EVERY_MS: i64 = 250;

/// Version of the encoding.
const VERSION: u8 = 1;

/// The watermark of one input partition. Small enough to be saved by copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    input_ms: i64,
    time_ms: i64,
    announced_ms: i64,
}

impl Default for Watermark {
    fn default() -> Self {
        Self { input_ms: i64::MIN, time_ms: i64::MIN, announced_ms: i64::MIN }
    }
}

impl Watermark {
    /// Takes the time of an input record in; `bound_ms` is how much may still come from before it.
    pub fn observe(&mut self, time_ms: i64, bound_ms: i64) {
        self.input_ms = self.input_ms.max(time_ms);
        self.time_ms = self.time_ms.max(time_ms.saturating_sub(bound_ms));
    }

    /// The watermark, milliseconds UTC; `i64::MIN` before the first record.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Appends it, for a snapshot.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for time_ms in [self.input_ms, self.time_ms, self.announced_ms] {
            write::long(out, time_ms);
        }
    }

    /// Reads what [`Watermark::encode`] wrote, in this version of it or an older one.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let watermark = Self { input_ms: reader.long()?, time_ms: reader.long()?, announced_ms: reader.long()? };
        reader.finish()?;
        Ok(watermark)
    }

    /// The running maximum of the input's time, the epoch before the first record.
    pub fn input_ms(&self) -> i64 {
        self.input_ms.max(0)
    }

    /// The watermark to announce now, if it is time: it has advanced by [`ANNOUNCE_EVERY_MS`], or at all where a tick asks.
    pub fn announce(&mut self, tick: bool) -> Option<i64> {
        let least_ms = if tick { 1 } else { ANNOUNCE_EVERY_MS };
        let due = self.time_ms > i64::MIN
            && (self.announced_ms == i64::MIN || self.time_ms.saturating_sub(self.announced_ms) >= least_ms);
        due.then(|| {
            self.announced_ms = self.time_ms;
            self.time_ms
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_every_quarter_second_of_advance_and_on_ticks() {
        let mut watermark = Watermark::default();
        assert_eq!(watermark.announce(true), None, "nothing is known yet");
        let mut said = Vec::new();
        for (time_ms, tick) in
            [(10_000, false), (10_249, false), (10_100, false), (10_250, false), (10_300, true), (10_300, true)]
        {
            watermark.observe(time_ms, 1_000);
            said.push(watermark.announce(tick));
        }
        assert_eq!(said, [Some(9_000), None, None, Some(9_250), Some(9_300), None]);
    }

    #[test]
    fn never_goes_back() {
        let mut watermark = Watermark::default();
        watermark.observe(5_000, 0);
        watermark.observe(1_000, 0);
        watermark.observe(5_500, 1_000);
        assert_eq!((watermark.announce(false), watermark.input_ms()), (Some(5_000), 5_500));
    }
}
