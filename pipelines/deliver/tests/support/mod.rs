//! What the suites of both warehouses share: a log in memory, a clock that is set by hand, a sink that fails on demand, records, and
//! the scenarios that every warehouse must pass with the same SQL and the same answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(dead_code, reason = "each suite uses its part")]

pub mod records;
pub mod scenarios;
pub mod world;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_deliver::{BatchId, Holding, Row, Sink, SinkError};
use millstream_runtime::Clock;
use millstream_schemas::RecordSchema;

/// A warehouse under test.
pub trait Engine {
    /// Its sink.
    type Sink: Sink;
    /// A sink on the engine's tables; each stands for a process of its own.
    fn sink(&self) -> Self::Sink;
    /// A query's answer as text; `None` is null.
    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>>;

    /// The one number that a query returns.
    fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql);
        rows[0][0].as_deref().unwrap().parse().unwrap()
    }
}

/// A clock that stands still until it is moved; wall clock and monotonic are the same.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn new() -> Self {
        Self(AtomicI64::new(1_700_000_000_000))
    }

    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms() as u64)
    }
}

/// When a troubled sink fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing reaches the warehouse.
    BeforeInsert,
    /// The rows are in, the answer is lost.
    AfterInsert,
}

/// A real sink behind a way there that fails.
pub struct Troubled<S> {
    pub inner: S,
    pub trouble: Trouble,
    /// How many inserts go well before it.
    pub after: AtomicI64,
}

impl<S> Troubled<S> {
    pub fn new(inner: S, trouble: Trouble) -> Self {
        Self { inner, trouble, after: AtomicI64::new(0) }
    }

    /// From now on all is well.
    pub fn heal(&self) {
        self.after.store(i64::MAX, Ordering::Relaxed);
    }
}

impl<S: Sink> Sink for Troubled<S> {
    type Rows = S::Rows;

    fn begin(&self, schema: &'static RecordSchema) -> S::Rows {
        self.inner.begin(schema)
    }

    fn add(&self, rows: &mut S::Rows, row: &Row<'_>) -> Result<(), SinkError> {
        self.inner.add(rows, row)
    }

    fn size_bytes(&self, rows: &S::Rows) -> usize {
        self.inner.size_bytes(rows)
    }

    fn insert(&self, batch: &BatchId, rows: &mut S::Rows) -> Result<(), SinkError> {
        if self.after.fetch_sub(1, Ordering::Relaxed) > 0 {
            return self.inner.insert(batch, rows);
        }
        if self.trouble == Trouble::AfterInsert {
            self.inner.insert(batch, rows)?;
        }
        Err(SinkError::Unavailable("the line is cut".to_owned()))
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        self.inner.holds(batch)
    }

    fn trusts_token_ms(&self) -> i64 {
        self.inner.trusts_token_ms()
    }
}
