//! When an event happened, whatever the client's clock says.
//!
//! A client stamps each event when it is made and the batch when it is sent; the difference does not depend on its clock being
//! right. So the corrected time is `received − (sent − created)`, and never later than `received`.
//!
//! | client's clock | sent time | result |
//! |---|---|---|
//! | any, even years off | given | corrected; a batch kept for longer than the horizon is too late |
//! | right | missing | as sent |
//! | ahead | missing | clamped to the receive time |
//! | far behind (1970) | missing | as sent, hence too late: nothing tells it from an old event |
//! | event without a time | any | the receive time |
//!
//! An import is trusted: neither correction nor clamp nor horizon.

/// How an event's time was found; the symbol of `time_quality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeQuality {
    /// The client's own time.
    AsSent,
    /// Corrected by receive and sent time.
    Corrected,
    /// It would have been later than its receipt.
    Clamped,
    /// The event carried no time.
    Received,
    /// An import's.
    Trusted,
}

impl TimeQuality {
    /// The symbol written to records.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::AsSent => "as_sent",
            Self::Corrected => "corrected",
            Self::Clamped => "clamped",
            Self::Received => "received",
            Self::Trusted => "trusted",
        }
    }
}

/// The times known of an event, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When the collector received it.
    pub received_ms: i64,
    /// The client's clock when it sent the batch.
    pub sent_ms: Option<i64>,
    /// The client's clock when the event was made.
    pub created_ms: Option<i64>,
}

/// The corrected time of a live event.
pub fn correct(times: Times) -> (i64, TimeQuality) {
    let Some(created_ms) = times.created_ms else { return (times.received_ms, TimeQuality::Received) };
    let (time_ms, quality) = match times.sent_ms {
        Some(sent_ms) => (times.received_ms.saturating_sub(sent_ms.saturating_sub(created_ms)), TimeQuality::Corrected),
        None => (created_ms, TimeQuality::AsSent),
    };
    if time_ms > times.received_ms { (times.received_ms, TimeQuality::Clamped) } else { (time_ms, quality) }
}

/// The time of an imported event.
pub fn trust(times: Times) -> (i64, TimeQuality) {
    (times.created_ms.unwrap_or(times.received_ms), TimeQuality::Trusted)
}

/// Whether a live event is too late. Decided from the event alone, here and nowhere else.
pub fn too_late(received_ms: i64, event_time_ms: i64, horizon_ms: i64) -> bool {
    received_ms.saturating_sub(event_time_ms) > horizon_ms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_790_000_000_000;
    const YEAR: i64 = 365 * 86_400_000;

    fn at(sent_ms: Option<i64>, created_ms: Option<i64>) -> (i64, TimeQuality) {
        correct(Times { received_ms: NOON, sent_ms, created_ms })
    }

    #[test]
    fn each_row_of_the_table() {
        assert_eq!(at(Some(NOON + YEAR), Some(NOON + YEAR - 700)), (NOON - 700, TimeQuality::Corrected));
        assert_eq!(at(Some(700), Some(0)), (NOON - 700, TimeQuality::Corrected));
        assert_eq!(at(None, Some(NOON - 5)), (NOON - 5, TimeQuality::AsSent));
        assert_eq!(at(None, Some(NOON + YEAR)), (NOON, TimeQuality::Clamped));
        assert_eq!(at(Some(10), Some(11)), (NOON, TimeQuality::Clamped));
        assert_eq!(at(Some(NOON), None), (NOON, TimeQuality::Received));
        assert!(too_late(NOON, at(None, Some(0)).0, 86_400_000));
        let imported = Times { received_ms: 0, sent_ms: None, created_ms: Some(NOON + YEAR) };
        assert_eq!(trust(imported), (NOON + YEAR, TimeQuality::Trusted));
    }

    #[test]
    fn the_horizon_is_inclusive() {
        assert!(!too_late(NOON, NOON - 86_400_000, 86_400_000));
        assert!(too_late(NOON, NOON - 86_400_001, 86_400_000));
    }

    proptest! {
        #[test]
        fn never_after_receipt_and_never_moved_by_the_clients_offset(
            sent in any::<i32>(), made_before in 0i64..1_000_000, offset in any::<i32>(),
        ) {
            let (sent, offset) = (i64::from(sent), i64::from(offset));
            let plain = at(Some(sent), Some(sent - made_before));
            prop_assert_eq!(plain, at(Some(sent + offset), Some(sent + offset - made_before)));
            prop_assert_eq!(plain.0, NOON - made_before);
        }

        #[test]
        fn no_input_overflows(received in any::<i64>(), sent in any::<Option<i64>>(), created in any::<Option<i64>>()) {
            let (time, _) = correct(Times { received_ms: received, sent_ms: sent, created_ms: created });
            prop_assert!(time <= received);
            too_late(received, time, 1);
        }
    }
}
