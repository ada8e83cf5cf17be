//! The table of accepted events, asked in SQL that every warehouse understands.

use std::ops::ControlFlow;

use millstream_schemas::{Event, Record};
use serde_json::{Map, Value};

use super::row::millis;
use crate::ReplayError;

/// Rows of one answer at most: it is held in memory.
const PAGE_ROWS: u64 = 5_000;

/// A warehouse that answers in JSON: one array, an object a row, times as RFC 3339.
pub trait Table {
    /// The answer to a SELECT.
    ///
    /// # Errors
    /// In the warehouse's words.
    fn ask(&self, sql: &str) -> Result<Vec<u8>, String>;
}

/// The warehouse refused, or has rows that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TableError(pub String);

/// All of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its rows.
    pub events: u64,
    /// When the first and the last of them were received, milliseconds UTC.
    pub first_ms: i64,
    pub last_ms: i64,
    /// Whether some were collected, so that time went on by itself.
    pub is_live: bool,
}

/// Rows that were received within a time; some of them, where they are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    from_ms: i64,
    until_ms: i64,
    offset: u64,
    count: u64,
}

/// What there is; `None` where there is nothing.
pub(super) fn span(table: &dyn Table) -> Result<Option<Span>, TableError> {
    let events = number(table, "select count(*) as n from events")?;
    if events == 0 {
        return Ok(None);
    }
    let rows = ask(table, "select min(received_at) as a, max(received_at) as z from events")?;
    let end = |name: &str| rows.first().and_then(|row| millis(row.get(name)?));
    let (Some(first_ms), Some(last_ms)) = (end("a"), end("z")) else {
        return Err(TableError("events has no times".to_owned()));
    };
    let is_live = number(table, "select count(*) as n from events where origin <> 'import'")? > 0;
    Ok(Some(Span { events, first_ms, last_ms, is_live }))
}

/// All rows in the order in which they were received, in pages that fit into memory.
pub(super) fn pages(
    table: &dyn Table,
    span: &Span,
    each: &mut dyn FnMut(Page) -> Result<ControlFlow<()>, ReplayError>,
) -> Result<ControlFlow<()>, ReplayError> {
    let mut open = vec![(span.first_ms, span.last_ms.saturating_add(1))];
    while let Some((from_ms, until_ms)) = open.pop() {
        let count = number(table, &format!("select count(*) as n from events where {}", within(from_ms, until_ms)))?;
        let length_ms = until_ms.saturating_sub(from_ms);
        if count > PAGE_ROWS && length_ms > 1 {
            let middle_ms = from_ms + length_ms / 2;
            open.push((middle_ms, until_ms));
            open.push((from_ms, middle_ms));
            continue;
        }
        // Imports of days put all of a day on one instant.
        let mut offset = 0;
        while offset < count {
            let page = Page { from_ms, until_ms, offset, count: (count - offset).min(PAGE_ROWS) };
            if each(page)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            offset += page.count;
        }
    }
    Ok(ControlFlow::Continue(()))
}

impl Page {
    /// Number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The rows; of one time those first that were collected first.
    pub fn rows(&self, table: &dyn Table) -> Result<Vec<Map<String, Value>>, TableError> {
        let columns: Vec<&str> = Event::SCHEMA.fields.iter().map(|field| field.name).collect();
        let rows = ask(
            table,
            &format!(
                "select {} from events where {} order by received_at, revision, site, event_id limit {} offset {}",
                columns.join(", "),
                within(self.from_ms, self.until_ms),
                self.count,
                self.offset
            ),
        )?;
        if rows.len() as u64 != self.count {
            return Err(TableError(format!(
                "events has {} rows where it had {} a moment ago: stop what changes it, then try again",
                rows.len(),
                self.count
            )));
        }
        Ok(rows)
    }
}

fn within(from_ms: i64, until_ms: i64) -> String {
    let time = |ms| jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("received_at >= '{}' and received_at < '{}'", time(from_ms), time(until_ms))
}

fn number(table: &dyn Table, sql: &str) -> Result<u64, TableError> {
    let rows = ask(table, sql)?;
    let number = rows.first().and_then(|row| row.get("n")?.as_u64());
    number.ok_or_else(|| TableError(format!("{sql}: no number came")))
}

fn ask(table: &dyn Table, sql: &str) -> Result<Vec<Map<String, Value>>, TableError> {
    let answer = table.ask(sql).map_err(TableError)?;
    serde_json::from_slice(&answer).map_err(|error| TableError(format!("{sql}: {error}")))
}
