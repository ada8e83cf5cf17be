//! Fetches the people of the next records.

use millstream_operators::person::People;
use millstream_schemas::Id;
use millstream_transports::RecordRef;

/// Reads what the records will need. Those of people are keyed by the person's id; others find nobody.
pub(crate) fn warm(people: &People, records: &[RecordRef<'_>]) {
    let ids = records.iter().filter_map(|record| record.key.try_into().ok().map(u128::from_be_bytes).map(Id));
    people.warm(ids);
}
