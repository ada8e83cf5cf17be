//! Tables against the topics that fill them.

use std::collections::BTreeMap;
use std::ops::Range;

use millstream_deliver::{Fate, Note, Route, read};
use millstream_schemas::{RecordSchema, Value};
use millstream_transports::{Transport, Walk};

use crate::report::{Kind, Place, Report, Stand, TableLine};
use crate::{Scope, Steps, VerifyError};

/// Offsets that are compared at a time: bounds memory on both sides.
const BUCKET: u64 = 10_000;

/// More rows in wrong places are not told one by one.
pub const STRAYS: usize = 10_000;

/// A warehouse, as verification reads it.
pub trait Tables {
    /// Every row of the route's history table that came from this partition and these offsets, in order of offset; a row that is
    /// there twice comes twice. Offsets rise from call to call of a partition. A warehouse that reads its rows in the order in which
    /// they lie may give a row of earlier offsets late.
    ///
    /// # Errors
    /// Where the warehouse cannot be read.
    fn stored(&mut self, route: &Route, partition: u32, offsets: Range<u64>) -> Result<Vec<RowCells>, TableError>;

    /// Rows that lie where no partition's rows are looked for, as partition and offset: of partitions that the topic does not have, or
    /// in a file of another partition. [`STRAYS`] of them at most.
    ///
    /// # Errors
    /// Where the warehouse cannot be read.
    fn strays(&mut self, route: &Route) -> Result<Vec<(u32, u64)>, TableError>;

    /// What the rows of these records would be.
    ///
    /// # Errors
    /// Where a record does not fit its table.
    fn expected(&mut self, schema: &'static RecordSchema, rows: &[RecordRow<'_>]) -> Result<Vec<RowCells>, TableError>;
}

/// Why a warehouse could not be read, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TableError(pub String);

/// A delivered record.
#[derive(Debug)]
pub struct RecordRow<'a> {
    /// Offset in its partition.
    pub offset: u64,
    /// Its values, in the order of its schema's fields.
    pub values: Vec<Value<'a>>,
}

/// A row, by what tells it from any other: hashes of its columns' exact content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCells {
    /// Offset of the record that it came from.
    pub offset: u64,
    /// One hash a field, in the schema's order. What is hashed is the warehouse's own; equal values have equal hashes.
    pub cells: Vec<u64>,
}

pub(crate) fn compare(
    transport: &dyn Transport,
    scope: &Scope<'_>,
    routes: &[Route],
    tables: &mut dyn Tables,
    steps: &mut Steps<'_>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    for route in routes {
        let line = TableLine {
            table: route.table.to_owned(),
            topic: route.schema.topic.to_owned(),
            rows: 0,
            without_row: 0,
            lag: 0,
            stand: Stand::Equal,
        };
        let differences = report.differences_in_all;
        let mut comparison = Comparison { scope, route, tables, report, line, cut: Vec::new() };
        for partition in 0..route.partitions {
            steps.at(&format!("table {}, partition {partition}", route.table));
            comparison.partition(transport, partition)?;
        }
        comparison.strays()?;
        let Comparison { mut line, cut, report, .. } = comparison;
        if report.differences_in_all > differences {
            line.stand = Stand::Different;
        } else if !cut.is_empty() {
            line.stand = Stand::EqualInPart(format!("the log begins later: {}", cut.join(", ")));
        }
        report.tables.push(line);
    }
    Ok(())
}

/// One table under comparison.
struct Comparison<'a> {
    scope: &'a Scope<'a>,
    route: &'a Route,
    tables: &'a mut dyn Tables,
    report: &'a mut Report,
    line: TableLine,
    /// Partitions whose beginning is gone from the log.
    cut: Vec<String>,
}

impl Comparison<'_> {
    fn partition(&mut self, transport: &dyn Transport, partition: u32) -> Result<(), VerifyError> {
        let (topic, group) = (&self.route.topic, &self.scope.deliver.group);
        let committed = transport.committed(group, topic, partition)?;
        let delivered = committed.filter(|committed| self.speaks_of(&committed.metadata)).map_or(0, |now| now.offset);
        let earliest = transport.earliest(topic, partition)?;
        if earliest > 0 {
            self.cut.push(format!("partition {partition} at offset {earliest}"));
        }
        let mut walk = Walk::open(transport, topic, partition)?;
        let mut from = earliest;
        while from < delivered {
            // Nothing is held but one bucket's rows; a stretch of the log without records is passed at once.
            let Some(next) = walk.peek()?.map(|record| record.offset).filter(|offset| *offset < delivered) else {
                break;
            };
            let to = (next / BUCKET + 1).saturating_mul(BUCKET).min(delivered);
            self.bucket(&mut walk, partition, from..to)?;
            from = to;
        }
        // Behind the last record, where there should be nothing.
        if from < delivered {
            self.bucket(&mut walk, partition, from..delivered)?;
        }
        let (mut lag, mut end) = (0, delivered);
        walk.each(u64::MAX, |record| {
            lag += 1;
            end = record.offset + 1;
            true
        })?;
        self.line.lag += lag;
        // A batch that is being inserted is there before it is committed; beyond the log's end nothing can be.
        for row in self.tables.stored(self.route, partition, end..u64::MAX)? {
            self.unexplained(partition, row.offset, end, "a row of a record that the log does not have");
        }
        Ok(())
    }

    fn strays(&mut self) -> Result<(), VerifyError> {
        for (partition, offset) in self.tables.strays(self.route)? {
            let what = "a row that lies where none of this partition belongs";
            self.unexplained(partition, offset, 0, what);
        }
        Ok(())
    }

    /// Whether the note beside an offset speaks of this topic, and not of a former one of the same name.
    fn speaks_of(&self, metadata: &str) -> bool {
        let note = Note::decode(metadata).unwrap_or(Note::Empty);
        note.topic_id().is_none_or(|noted| noted == self.route.topic_id || noted == self.route.topic)
    }

    /// Compares the rows of these offsets with the records that lie there.
    fn bucket(&mut self, walk: &mut Walk, partition: u32, offsets: Range<u64>) -> Result<(), VerifyError> {
        let (route, config) = (self.route, self.scope.deliver);
        let mut records: Vec<(u64, Vec<u8>)> = Vec::new();
        walk.each(offsets.end, |record| {
            records.push((record.offset, record.value.to_vec()));
            true
        })?;
        let (mut rows, mut keys) = (Vec::with_capacity(records.len()), BTreeMap::new());
        for (offset, value) in &records {
            match read(route, &config.schema_ids, config.required_purposes, value) {
                Fate::Row(values) => {
                    keys.insert(*offset, key_of(route.schema, &values));
                    rows.push(RecordRow { offset: *offset, values });
                }
                // Control and watermark records carry no row and are not delivered.
                Fate::Skipped => {}
                Fate::Filtered | Fate::Rejected(_) => self.line.without_row += 1,
            }
        }
        let expected = self.tables.expected(route.schema, &rows)?;
        let begins = offsets.start;
        let stored = self.tables.stored(route, partition, offsets)?;
        self.line.rows += expected.len() as u64;
        self.match_up(partition, begins, &expected, &stored, &keys);
        Ok(())
    }

    /// A row that no record of the bucket, which begins at `begins`, explains.
    fn unexplained(&mut self, partition: u32, offset: u64, begins: u64, otherwise: &str) {
        if offset < begins {
            let what = "a row of this offset lies among later ones: it is there more than once".to_owned();
            self.differ(Kind::Doubled, partition, offset, None, what);
        } else {
            self.differ(Kind::Extra, partition, offset, None, otherwise.to_owned());
        }
    }

    /// Walks both in order of offset.
    fn match_up(
        &mut self,
        partition: u32,
        begins: u64,
        expected: &[RowCells],
        stored: &[RowCells],
        keys: &BTreeMap<u64, String>,
    ) {
        let key = |offset: u64| keys.get(&offset).cloned();
        let mut rest = stored;
        let mut extra = Vec::new();
        for wanted in expected {
            let before = rest.iter().take_while(|row| row.offset < wanted.offset).count();
            let (passed, later) = rest.split_at(before);
            extra.extend(passed);
            let here = later.iter().take_while(|row| row.offset == wanted.offset).count();
            let (found, later) = later.split_at(here);
            rest = later;
            let at = (partition, wanted.offset);
            if found.is_empty() {
                self.differ(Kind::Missing, at.0, at.1, key(at.1), "its row is missing".to_owned());
            }
            if found.len() > 1 {
                let what = format!("its row is there {} times", found.len());
                self.differ(Kind::Doubled, at.0, at.1, key(at.1), what);
            }
            if let Some(row) = found.iter().find(|row| row.cells != wanted.cells) {
                let what = format!("its row differs in {}", self.differing_columns(wanted, row));
                self.differ(Kind::Changed, at.0, at.1, key(at.1), what);
            }
        }
        extra.extend(rest);
        for row in extra {
            self.unexplained(partition, row.offset, begins, "a row where the log has no delivered record with one");
        }
    }

    fn differing_columns(&self, wanted: &RowCells, found: &RowCells) -> String {
        let cells = wanted.cells.iter().zip(&found.cells).zip(self.route.schema.fields);
        let names: Vec<&str> = cells.filter(|((a, b), _)| a != b).map(|(_, field)| field.name).collect();
        if names.is_empty() { "the number of its columns".to_owned() } else { names.join(", ") }
    }

    fn differ(&mut self, kind: Kind, partition: u32, offset: u64, key: Option<String>, what: String) {
        let place = Place {
            stage: None,
            table: Some(self.route.table.to_owned()),
            topic: self.route.schema.topic.to_owned(),
            partition,
            offset: Some(offset),
            key,
        };
        self.report.differ(kind, place, what);
    }
}

/// A record's key as people read it.
fn key_of(schema: &RecordSchema, values: &[Value<'_>]) -> String {
    let parts = schema.key.iter().map(|name| match schema.position(name).and_then(|position| values.get(position)) {
        Some(Value::Str(text)) => (*text).to_owned(),
        Some(Value::Id(id)) => id.to_string(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Long(number)) => number.to_string(),
        _ => "?".to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}
