//! What is left alone for a while, and why: the sink as a whole, or single tables of it.

use std::collections::BTreeMap;

use crate::cause::Cause;

/// Trouble that is waited out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is the matter.
    pub cause: Cause,
    /// In the sink's words.
    pub why: String,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Monotonic time of the first failure, milliseconds.
    pub since_ms: u64,
    /// Monotonic time before which nothing is tried again, milliseconds.
    pub retry_ms: u64,
}

/// How long to wait between attempts, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) min_ms: u64,
    pub(crate) max_ms: u64,
}

/// All present troubles of one deliverer's sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    sink: Option<Trouble>,
    tables: BTreeMap<&'static str, Trouble>,
}

impl Troubles {
    /// Takes note of a failed attempt. Returns the trouble as it stands now.
    pub(crate) fn failed(
        &mut self,
        table: &'static str,
        cause: Cause,
        why: String,
        now_ms: u64,
        waits: Waits,
    ) -> &Trouble {
        let new = || Trouble { cause, why: String::new(), failures: 0, since_ms: now_ms, retry_ms: 0 };
        let trouble = if cause.is_of_one_table() {
            // The sink answers, so whatever kept it from that is over.
            self.sink = None;
            self.tables.entry(table).or_insert_with(new)
        } else {
            self.sink.get_or_insert_with(new)
        };
        trouble.cause = cause;
        trouble.why = why;
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.retry_ms = now_ms + backoff_ms(waits, trouble.failures);
        trouble
    }

    /// An insert into the table went through: what was the matter is over. Returns what that was, with the time it lasted.
    pub(crate) fn went_well(&mut self, table: &'static str, now_ms: u64) -> Vec<(Trouble, u64)> {
        let over = self.sink.take().into_iter().chain(self.tables.remove(table));
        over.map(|trouble| (now_ms.saturating_sub(trouble.since_ms), trouble))
            .map(|(lasted_ms, trouble)| (trouble, lasted_ms))
            .collect()
    }

    /// What is the matter with the whole sink.
    pub(crate) fn of_sink(&self) -> Option<&Trouble> {
        self.sink.as_ref()
    }

    /// What is the matter with this table alone.
    pub(crate) fn of_table(&self, table: &str) -> Option<&Trouble> {
        self.tables.get(table)
    }

    /// What keeps batches of this table waiting, if anything does.
    pub(crate) fn concerning(&self, table: &str) -> Option<&Trouble> {
        self.sink.as_ref().or_else(|| self.tables.get(table))
    }

    /// Monotonic time before which this table is left alone, milliseconds; 0 where it is not.
    pub(crate) fn retry_ms(&self, table: &str) -> u64 {
        let of = |trouble: Option<&Trouble>| trouble.map_or(0, |trouble| trouble.retry_ms);
        of(self.sink.as_ref()).max(of(self.tables.get(table)))
    }
}

/// Doubles with every failure, up to a limit.
fn backoff_ms(waits: Waits, failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1).min(20);
    waits.min_ms.saturating_mul(1 << doublings).min(waits.max_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits { min_ms: 100, max_ms: 3_000 };

    #[test]
    fn waits_double_up_to_the_limit() {
        let waits: Vec<u64> = (1..=8).map(|failures| backoff_ms(WAITS, failures)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000]);
        assert_eq!(backoff_ms(WAITS, u32::MAX), 3_000);
    }

    #[test]
    fn a_table_in_trouble_keeps_no_other_waiting_and_a_sink_keeps_all() {
        let mut troubles = Troubles::default();
        troubles.failed("orders", Cause::TooManyParts, "parts".into(), 1_000, WAITS);
        assert_eq!((troubles.retry_ms("orders"), troubles.retry_ms("events")), (1_100, 0));
        troubles.failed("events", Cause::Unreachable, "cut".into(), 1_000, WAITS);
        troubles.failed("events", Cause::Unreachable, "cut".into(), 1_100, WAITS);
        assert_eq!((troubles.retry_ms("orders"), troubles.retry_ms("clv")), (1_300, 1_300));
        let over = troubles.went_well("events", 1_500);
        assert_eq!(
            over.iter().map(|(trouble, ms)| (trouble.cause, *ms)).collect::<Vec<_>>(),
            [(Cause::Unreachable, 500)]
        );
        assert_eq!((troubles.retry_ms("orders"), troubles.retry_ms("events")), (1_100, 0));
        assert_eq!(troubles.went_well("orders", 1_500).len(), 1);
        assert!(troubles.concerning("orders").is_none());
    }
}
