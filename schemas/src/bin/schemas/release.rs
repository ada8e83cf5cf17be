//! Frozen copies of a released version's contracts: what every later version must be able to read.

use crate::definition::Definition;
use crate::output::Output;
use crate::{avro, catalogue};
use std::fmt::Write;
use std::path::Path;

/// Adds `released/<version>`: the Avro schema of each record, and `contracts.toml` with what must never change.
pub fn freeze(
    output: &mut Output,
    schemas: &Path,
    definitions: &[Definition],
    events: &catalogue::Catalogue,
    reasons: &[catalogue::Reason],
) {
    let version = env!("CARGO_PKG_VERSION");
    let folder = schemas.join("released").join(version);
    let mut contracts = format!("# What version {version} promised. Frozen: never change it by hand.\n");
    let event_types: Vec<&str> = events.types.iter().map(|ty| ty.name.as_str()).collect();
    let reasons: Vec<&str> = reasons.iter().map(|reason| reason.name.as_str()).collect();
    let _ = writeln!(contracts, "event_types = {event_types:?}\nreasons = {reasons:?}");
    for definition in definitions {
        output.add(folder.join(format!("{}.avsc", definition.name)), avro::schema(definition, definitions));
        let _ = writeln!(contracts, "\n[records.{}]\nid = {}", definition.name, definition.id);
        let _ = writeln!(contracts, "topic = {:?}", definition.topic.as_deref().unwrap_or_default());
        let _ = writeln!(contracts, "table = {:?}", definition.table.as_deref().unwrap_or_default());
        let _ = writeln!(contracts, "key = {:?}", definition.key);
    }
    output.add(folder.join("contracts.toml"), contracts);
}
