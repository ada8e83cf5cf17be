//! One JSON object a line.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::rc::Rc;

use serde_json::value::RawValue;

use super::open::open;
use super::{InputFile, Row, Rows, Step};
use crate::error::ImportError;
use crate::mapping::{Columns, Mapping};

/// How many different keys an error message remembers.
const KEYS_REMEMBERED: usize = 200;

/// Rows of a JSON lines file. A column is a top-level key, or a JSON pointer where it begins with `/`.
pub(crate) struct JsonRows {
    file: InputFile,
    reader: BufReader<Box<dyn Read>>,
    read: Rc<Cell<u64>>,
    line: u64,
    record_limit_bytes: usize,
    columns: Vec<String>,
    binding: Vec<usize>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    /// Columns that some row had.
    columns: Vec<bool>,
    keys: BTreeSet<String>,
    rows: u64,
}

impl JsonRows {
    /// Opens a file.
    pub(crate) fn open(file: &InputFile, mapping: &Mapping, record_limit_bytes: usize) -> Result<Self, ImportError> {
        let opened = open(file)?;
        let columns: Vec<String> = mapping.columns.names().map(str::to_owned).collect();
        Ok(Self {
            file: file.clone(),
            reader: BufReader::new(opened.bytes),
            read: opened.read,
            line: 0,
            record_limit_bytes,
            binding: (0..columns.len()).collect(),
            found: RefCell::new(Found { columns: vec![false; columns.len()], ..Found::default() }),
            columns,
        })
    }

    /// Reads a line without its end into `raw`, up to the limit; gives its full length, or nothing at the end of the file.
    fn read_line(&mut self, raw: &mut Vec<u8>) -> Result<Option<usize>, ImportError> {
        let (mut length, mut any) = (0usize, false);
        loop {
            let buffer = self.reader.fill_buf().map_err(|error| {
                self.file.error(self.line + 1, format!("cannot be read on: {error}; nothing has been written"))
            })?;
            if buffer.is_empty() {
                return Ok(any.then_some(length));
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let room = self.record_limit_bytes.saturating_sub(raw.len());
            raw.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
            length += part.len();
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }

    fn fill(&self, row: &mut Row) -> Result<(), (&'static str, String)> {
        let text = std::str::from_utf8(&row.raw).map_err(|error| ("invalid_utf8", error.to_string()))?.to_owned();
        let object: BTreeMap<String, &RawValue> =
            serde_json::from_str(&text).map_err(|error| ("invalid_json", format!("not a JSON object: {error}")))?;
        let mut found = self.found.borrow_mut();
        found.rows += 1;
        for key in object.keys() {
            if found.keys.len() < KEYS_REMEMBERED && !found.keys.contains(key) {
                found.keys.insert(key.clone());
            }
        }
        let mut whole = None;
        for (at, column) in self.columns.iter().enumerate() {
            let cell = if column.starts_with('/') {
                let value = match &mut whole {
                    Some(value) => value,
                    empty => empty.insert(
                        serde_json::from_str::<serde_json::Value>(&text)
                            .map_err(|error| ("invalid_json", error.to_string()))?,
                    ),
                };
                value.pointer(column).map(|value| match value {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            } else {
                // The raw text keeps every digit of a number.
                object.get(column).map(|value| raw_text(value))
            };
            if let Some(cell) = cell {
                row.push_cell(&cell);
                if let Some(there) = found.columns.get_mut(at) {
                    *there = true;
                }
            } else {
                row.push_cell("");
            }
        }
        Ok(())
    }
}

fn raw_text(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
        other => other.to_owned(),
    }
}

impl Rows for JsonRows {
    fn next(&mut self, row: &mut Row) -> Result<Step, ImportError> {
        loop {
            row.clear();
            let Some(length) = self.read_line(&mut row.raw)? else { return Ok(Step::End) };
            self.line += 1;
            row.line = self.line;
            if length > self.record_limit_bytes {
                let detail = format!("{length} bytes, the limit is {}; the rest was cut off", self.record_limit_bytes);
                return Ok(Step::Bad { reason: "unreadable_row", detail });
            }
            if row.raw.last() == Some(&b'\r') {
                row.raw.pop();
            }
            if row.raw.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(match self.fill(row) {
                Ok(()) => Step::Row,
                Err((reason, detail)) => Step::Bad { reason, detail },
            });
        }
    }

    fn binding(&self) -> &[usize] {
        &self.binding
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn finish(&self, columns: &Columns) -> Result<(), ImportError> {
        let found = self.found.borrow();
        if found.rows == 0 {
            return Ok(());
        }
        let seen: Vec<String> = found.keys.iter().cloned().collect();
        let mut absent = found.columns.iter().enumerate().filter(|(_, there)| !**there);
        match absent.find_map(|(id, _)| columns.absent(id, &self.file.name, &seen)) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
