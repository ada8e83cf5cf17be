//! The warehouse's tables hold the committed topics, row by row.

use millstream_deliver::delivered_records;
use millstream_schemas::{Value, frame, purposes, visit};

use super::{Checked, violation};
use crate::sink::{Table, row_hash};
use crate::world::World;

const INVARIANT: &str = "tables equal topics";

pub(super) fn check(world: &World) -> Checked {
    let watch = world.watch.lock();
    let warehouse = world.warehouse.lock();
    for (schema, table) in delivered_records() {
        let mut expected = Table::new();
        for (partition, record) in watch.topic(schema.topic) {
            let Ok((id, body)) = frame::split(&record.value) else { continue };
            if id != schema.id {
                continue;
            }
            let mut values = Vec::with_capacity(schema.fields.len());
            let mut consent = purposes::NECESSARY;
            let read = visit(schema, body, &mut |field, value| {
                if let ("consent", Value::Int(bits)) = (field.name, &value) {
                    consent = *bits;
                }
                values.push(value);
            });
            if read.is_ok() && consent & purposes::NECESSARY != 0 {
                expected.insert((partition, record.offset), row_hash(&values));
            }
        }
        let nothing = Table::new();
        let found = warehouse.table(table).unwrap_or(&nothing);
        if *found == expected {
            continue;
        }
        let missing: Vec<_> = expected.keys().filter(|place| !found.contains_key(place)).collect();
        let extra: Vec<_> = found.keys().filter(|place| !expected.contains_key(place)).collect();
        let detail = format!(
            "{table} has {} rows instead of {}; missing (partition, offset): {:?}; too many: {:?}",
            found.len(),
            expected.len(),
            &missing[..missing.len().min(5)],
            &extra[..extra.len().min(5)]
        );
        return Err(violation(INVARIANT, detail));
    }
    world.strikes(|tally| tally.rows = warehouse.rows());
    Ok(())
}
