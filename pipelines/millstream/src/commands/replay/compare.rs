//! `millstream replay compare`: whether two namespaces end in the same current views.

use millstream_replay::views::{Compared, compare};
use millstream_schemas::RECORDS;

use crate::app::App;
use crate::error::Failure;
use crate::progress::{Progress, tell};

/// Compares this namespace with another one.
///
/// # Errors
/// Where they differ, or cannot be read.
pub fn compare_with(app: &App, with: &str) -> Result<(), Failure> {
    let (mut progress, mut done) = (Progress::new("compare", 0), 0);
    let total = RECORDS.iter().filter(|schema| schema.table.is_some()).count() as u64;
    let kinds = compare(app.transport.as_ref(), &app.ids, &app.config.namespace, with, |table| {
        progress.at(done, total, table);
        done += 1;
    })?;
    progress.done(&format!("{done} kinds of records"));
    let different: u64 = kinds.iter().map(|kind| kind.different).sum();
    for Compared { table, rows, different, shown } in &kinds {
        let verdict = if *different == 0 { "equal".to_owned() } else { format!("{different} keys DIFFER") };
        tell(&format!("{table:<20} {rows:>10} current rows: {verdict}"));
        shown.iter().for_each(|what| tell(&format!("  {what}")));
    }
    if different > 0 {
        return Err(Failure::new(format!("{different} keys have other current rows in namespace {with:?}")));
    }
    tell("both namespaces end in the same current views");
    Ok(())
}
