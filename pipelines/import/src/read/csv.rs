//! Delimited text.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::open::open;
use super::{InputFile, Row, Rows, Step};
use crate::error::ImportError;
use crate::mapping::{Columns, Mapping};

/// Rows of a CSV file, with their lines and original bytes.
pub(crate) struct CsvRows {
    file: InputFile,
    reader: Reader<Tee<Box<dyn Read>>>,
    seen: Rc<RefCell<Seen>>,
    record: ByteRecord,
    raw: Vec<u8>,
    /// The line after what has been read.
    next_line: u64,
    header: Vec<String>,
    binding: Vec<usize>,
    /// Whether empty cells are only padding.
    padded: bool,
    read: Rc<Cell<u64>>,
}

impl CsvRows {
    /// Opens a file, reads its header and finds the columns the mapping names.
    pub(crate) fn open(file: &InputFile, mapping: &Mapping, record_limit_bytes: usize) -> Result<Self, ImportError> {
        let opened = open(file)?;
        let seen = Rc::new(RefCell::new(Seen::default()));
        let tee = Tee { inner: opened.bytes, seen: Rc::clone(&seen), limit_bytes: record_limit_bytes };
        let source = &mapping.source;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(source.delimiter)
            .quoting(source.quote.is_some())
            .quote(source.quote.unwrap_or(b'"'))
            .from_reader(tee);
        let mut rows = Self {
            file: file.clone(),
            reader,
            seen,
            record: ByteRecord::new(),
            raw: Vec::new(),
            next_line: 1,
            header: Vec::new(),
            binding: Vec::new(),
            padded: source.padded,
            read: opened.read,
        };
        let mut header = Vec::new();
        if source.header {
            if rows.advance()?.is_none() {
                return Err(file.error(1, "the file is empty: it has no header"));
            }
            for name in rows.cells() {
                let name = std::str::from_utf8(name).map_err(|_| file.error(1, "the header is not valid UTF-8"))?;
                header.push(name.trim().to_owned());
            }
        }
        rows.header = source.columns.clone().unwrap_or(header);
        rows.binding = mapping.columns.bind(&file.name, &rows.header)?;
        Ok(rows)
    }

    /// The cells of the record.
    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.record.iter().filter(|cell| !(self.padded && cell.is_empty()))
    }

    /// Reads one record and its bytes; gives the line it begins on.
    fn advance(&mut self) -> Result<Option<u64>, ImportError> {
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            self.file
                .error(self.next_line, format!("{error}; lines before this one are fine, nothing has been written"))
        })?;
        self.seen.borrow_mut().take_until(self.reader.position().byte(), &mut self.raw);
        // Blank lines and the second half of CR LF stand before the record that follows them.
        let lead = self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let line = self.next_line + newlines(self.raw.get(..lead).unwrap_or_default());
        self.next_line += newlines(&self.raw);
        self.raw.drain(..lead);
        while self.raw.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            self.raw.pop();
        }
        Ok(more.then_some(line))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl Rows for CsvRows {
    fn next(&mut self, row: &mut Row) -> Result<Step, ImportError> {
        row.clear();
        let Some(line) = self.advance()? else { return Ok(Step::End) };
        row.line = line;
        row.raw.extend_from_slice(&self.raw);
        let fields = self.cells().count();
        if fields != self.header.len() {
            let detail = format!("{fields} fields, the header has {}", self.header.len());
            return Ok(Step::Bad { reason: "unreadable_row", detail });
        }
        for (at, cell) in self.cells().enumerate() {
            match std::str::from_utf8(cell) {
                Ok(cell) => row.push_cell(cell),
                Err(error) => {
                    let column = self.header.get(at).map_or("", String::as_str);
                    let detail = format!("column {column} is not valid UTF-8: {error}");
                    return Ok(Step::Bad { reason: "invalid_utf8", detail });
                }
            }
        }
        Ok(Step::Row)
    }

    fn binding(&self) -> &[usize] {
        &self.binding
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn finish(&self, _columns: &Columns) -> Result<(), ImportError> {
        Ok(())
    }
}

/// Keeps what the CSV reader has taken from the file until its record is known, so that a rejected row keeps its original bytes.
struct Tee<R> {
    inner: R,
    seen: Rc<RefCell<Seen>>,
    limit_bytes: usize,
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// Where in `bytes` the part begins that no record has taken yet.
    start: usize,
    /// The position in the file of that part.
    position: u64,
}

impl Seen {
    /// Moves everything before `position` to `raw`.
    fn take_until(&mut self, position: u64, raw: &mut Vec<u8>) {
        const COMPACT_BYTES: usize = 1 << 17;
        let count = usize::try_from(position.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let end = self.start.saturating_add(count).min(self.bytes.len());
        raw.clear();
        raw.extend_from_slice(self.bytes.get(self.start..end).unwrap_or_default());
        self.position += (end - self.start) as u64;
        self.start = end;
        if self.start >= COMPACT_BYTES {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut seen = self.seen.borrow_mut();
        if seen.bytes.len() - seen.start > self.limit_bytes {
            return Err(io::Error::other(format!(
                "the record is longer than {} bytes: a quote is not closed; correct it, or set `quote = \"\"` in the mapping's [source]",
                self.limit_bytes
            )));
        }
        let count = self.inner.read(into)?;
        seen.bytes.extend_from_slice(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}
