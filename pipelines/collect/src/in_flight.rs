//! How much the requests being worked on take together: what is not read cannot fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, header};
use prometheus::IntGauge;

/// A body is there three times at most: as it came, as text, and as records until the log has confirmed them.
const COPIES: usize = 3;

/// Bytes reserved by requests.
#[derive(Debug)]
pub(crate) struct InFlight {
    bytes: AtomicUsize,
    limit_bytes: usize,
    gauge: IntGauge,
}

/// A request's reservation; given back when it is answered.
#[derive(Debug)]
pub(crate) struct Reserved {
    of: Arc<InFlight>,
    bytes: usize,
}

impl InFlight {
    pub fn new(limit_bytes: usize, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), limit_bytes, gauge })
    }

    /// Reserves what a request may take; `None` where too much is under way. A request larger than the limit passes alone.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        let add = |now: usize| now.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes || now == 0);
        let before = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        self.show(before + bytes);
        Some(Reserved { of: Arc::clone(self), bytes })
    }

    fn show(&self, bytes: usize) {
        self.gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let before = self.of.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.of.show(before.saturating_sub(self.bytes));
    }
}

/// What a request may take in memory, told from its headers: what they do not say is taken to be as large as it may be.
pub(crate) fn estimate(headers: &HeaderMap, max_body_bytes: usize) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let wire = length.unwrap_or(max_body_bytes).min(max_body_bytes);
    let unpacked = if headers.contains_key(header::CONTENT_ENCODING) { max_body_bytes } else { wire };
    wire + unpacked * (COPIES - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_was_reserved_comes_back_and_no_more_than_the_limit_is_given() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let in_flight = InFlight::new(100, gauge.clone());
        let first = in_flight.reserve(60).unwrap();
        assert!(in_flight.reserve(41).is_none());
        let second = in_flight.reserve(40).unwrap();
        assert_eq!(gauge.get(), 100);
        drop((first, second));
        assert_eq!(gauge.get(), 0);
        // One that is larger than everything is not refused for ever.
        let alone = in_flight.reserve(1_000).unwrap();
        assert!(in_flight.reserve(1).is_none());
        drop(alone);
        assert!(in_flight.reserve(1).is_some());
    }

    #[test]
    fn unknown_lengths_count_as_the_largest() {
        let mut headers = HeaderMap::new();
        assert_eq!(estimate(&headers, 1_000), 3_000);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(100));
        assert_eq!(estimate(&headers, 1_000), 300);
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(estimate(&headers, 1_000), 2_100);
    }
}
