//! The common suite on the in-memory and the embedded transport.

use millstream_transports::conformance::{CHECKS, Fixture, Report, run_all};
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions, EmbeddedSync};
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{Fault, LocalOptions, Transport, TransportError};

fn assert_held(report: &Report) {
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.skipped.is_empty(), "{:?}", report.skipped);
    assert_eq!(report.held.len(), CHECKS.len());
}

fn unknown(applied: bool) -> Fault {
    if applied { Fault::CommitUnknownApplied } else { Fault::CommitUnknownDropped }
}

struct Memory(MemoryLog);

impl Fixture for Memory {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }
    fn reopen(&mut self) -> Result<(), TransportError> {
        self.0 = self.0.crash();
        Ok(())
    }
    fn next_commit_is_unknown(&mut self, applied: bool) -> bool {
        self.0.faults().inject(unknown(applied));
        true
    }
}

struct Embedded {
    directory: tempfile::TempDir,
    sync: EmbeddedSync,
    log: Option<EmbeddedLog>,
}

impl Fixture for Embedded {
    fn transport(&self) -> &dyn Transport {
        self.log.as_ref().unwrap()
    }
    fn reopen(&mut self) -> Result<(), TransportError> {
        self.log = None;
        let options = EmbeddedOptions { sync: self.sync, ..EmbeddedOptions::default() };
        self.log = Some(EmbeddedLog::open(self.directory.path(), options)?);
        Ok(())
    }
    fn next_commit_is_unknown(&mut self, applied: bool) -> bool {
        self.log.as_ref().unwrap().faults().inject(unknown(applied));
        true
    }
}

#[test]
fn memory() {
    assert_held(&run_all(&mut Memory(MemoryLog::new())));
}

#[test]
fn memory_with_small_polls() {
    let options = LocalOptions { poll_bytes: 16, ..LocalOptions::default() };
    assert_held(&run_all(&mut Memory(MemoryLog::with_options(options, MemorySync::Immediate))));
}

#[test]
fn embedded() {
    let mut fixture = Embedded { directory: tempfile::tempdir().unwrap(), sync: EmbeddedSync::EveryCommit, log: None };
    fixture.reopen().unwrap();
    assert_held(&run_all(&mut fixture));
}
