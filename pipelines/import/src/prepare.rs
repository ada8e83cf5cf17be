//! Reads and maps all files, before anything is written.

use std::path::PathBuf;

use millstream_schemas::Id;

use crate::build::{Builder, ImportedEvent, RejectedRow};
use crate::error::ImportError;
use crate::fingerprint::fingerprint;
use crate::mapping::Mapping;
use crate::options::{ImportOptions, Phase, Progress};
use crate::read::{InputFile, OpenTable, Row, Step, open_rows, size_bytes};

/// Rows between two reports of progress.
const REPORT_EVERY_ROWS: u64 = 4_096;

/// An import that has been read and mapped, and not yet written.
#[derive(Debug)]
pub struct Prepared {
    /// The shop.
    pub site: String,
    /// The data set's name.
    pub data_set: String,
    /// Of mapping, site and files.
    pub fingerprint: Id,
    /// File names, in the order given.
    pub files: Vec<String>,
    /// Events in order of time, file and line.
    pub events: Vec<ImportedEvent>,
    /// Rejected rows in order of file and line.
    pub rejected: Vec<RejectedRow>,
    /// Rows read, the rejected ones among them.
    pub rows: u64,
    /// Rows that a rule left out.
    pub skipped: u64,
    /// Events left out because an earlier one (by time, file and line) has the same id.
    pub duplicates: u64,
}

/// Who an import is and what it reads.
pub(crate) struct Plan {
    pub(crate) site: String,
    pub(crate) data_set: String,
    pub(crate) files: Vec<InputFile>,
    pub(crate) fingerprint: Id,
}

impl Plan {
    /// Checks names and files and computes the fingerprint.
    pub(crate) fn new(mapping: &Mapping, paths: &[PathBuf], options: &ImportOptions) -> Result<Self, ImportError> {
        let site = options.site.as_deref().or(mapping.site()).unwrap_or_default().to_owned();
        let data_set = options.data_set.as_deref().or(mapping.data_set()).unwrap_or_default().to_owned();
        for (name, value, key) in [("site", &site, "site"), ("data set", &data_set, "data_set")] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if value.is_empty() || value.len() > 100 || !value.chars().all(plain) {
                return Err(ImportError::Options(format!(
                    "`{value}` is no name of a {name}: give one of at most 100 letters, digits, dots, dashes and underscores, in the \
                     mapping (`{key}`) or on the command line"
                )));
            }
        }
        let files = InputFile::all(paths)?;
        let fingerprint = fingerprint(mapping, &site, &files)?;
        Ok(Self { site, data_set, files, fingerprint })
    }
}

/// Reads and maps all files. `open_table` opens Parquet files.
pub fn prepare(
    mapping: &Mapping,
    paths: &[PathBuf],
    open_table: Option<&OpenTable<'_>>,
    options: &ImportOptions,
    report: &mut dyn FnMut(Progress),
) -> Result<Prepared, ImportError> {
    let plan = Plan::new(mapping, paths, options)?;
    prepare_plan(plan, mapping, open_table, options, report)
}

pub(crate) fn prepare_plan(
    plan: Plan,
    mapping: &Mapping,
    open_table: Option<&OpenTable<'_>>,
    options: &ImportOptions,
    report: &mut dyn FnMut(Progress),
) -> Result<Prepared, ImportError> {
    let sizes = plan.files.iter().map(size_bytes).collect::<Result<Vec<u64>, _>>()?;
    let total: u64 = sizes.iter().sum();
    let mut builder = Builder::new(mapping, &plan.site, &plan.data_set, options.event_limit_bytes);
    let mut row = Row::default();
    let (mut rows, mut before) = (0u64, 0u64);
    for ((number, file), size) in (0u32..).zip(&plan.files).zip(&sizes) {
        let mut source = open_rows(file, mapping, open_table, options.record_limit_bytes)?;
        loop {
            match source.next(&mut row)? {
                Step::End => break,
                Step::Row => builder.row(number, &file.name, &row, source.binding()),
                Step::Bad { reason, detail } => builder.bad_row(number, &row, reason, detail),
            }
            rows += 1;
            if builder.size_bytes() > options.memory_limit_bytes {
                return Err(ImportError::MemoryLimit {
                    file: file.path.display().to_string(),
                    line: row.line,
                    limit_bytes: options.memory_limit_bytes,
                });
            }
            if rows % REPORT_EVERY_ROWS == 0 {
                let done = before + source.bytes_read();
                report(Progress { phase: Phase::Reading, done, total, rejected: builder.rejected() });
            }
        }
        source.finish(&mapping.columns)?;
        before += size;
    }
    report(Progress { phase: Phase::Reading, done: total, total, rejected: builder.rejected() });
    let built = builder.finish();
    Ok(Prepared {
        site: plan.site,
        data_set: plan.data_set,
        fingerprint: plan.fingerprint,
        files: plan.files.into_iter().map(|file| file.name).collect(),
        events: built.events,
        rejected: built.rejected,
        rows,
        skipped: built.skipped,
        duplicates: built.duplicates,
    })
}
