//! Which topic fills which table.

use millstream_schemas::{RECORDS, RecordSchema};
use millstream_transports::Transport;

use crate::error::DeliverError;

/// One delivered topic.
#[derive(Clone, Debug)]
pub struct Route {
    /// Full name of the topic.
    pub topic: String,
    /// The topic's identity, part of every token.
    pub topic_id: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// The record that has the table.
    pub schema: &'static RecordSchema,
    /// Its table.
    pub table: &'static str,
    /// Where the record keeps its consent bits, if it has any.
    pub consent_position: Option<usize>,
}

/// The records that have a table, and their tables.
pub fn delivered_records() -> impl Iterator<Item = (&'static RecordSchema, &'static str)> {
    RECORDS.iter().filter_map(|schema| schema.table.map(|table| (*schema, table)))
}

/// The routes, in the order in which the member's inputs are named.
///
/// # Errors
/// Where a topic is missing or the log cannot be reached; `group` is named in it.
pub fn routes(transport: &dyn Transport, prefix: &str, group: &str) -> Result<Vec<Route>, DeliverError> {
    let mut routes: Vec<Route> = Vec::new();
    for (schema, table) in delivered_records() {
        let topic = format!("{prefix}{}", schema.topic);
        // Two tables behind one topic would mix in a batch; the schemas do not do that, and this keeps it so.
        if let Some(other) = routes.iter().find(|route| route.topic == topic) {
            return Err(DeliverError::Config(format!("topic {topic} would fill tables {} and {table}", other.table)));
        }
        let failed = |source| DeliverError::Transport { group: group.to_owned(), source };
        let partitions = transport.partition_count(&topic).map_err(failed)?;
        let topic_id = transport.topic_id(&topic).map_err(failed)?;
        let consent_position = schema.position("consent");
        routes.push(Route { topic, topic_id, partitions, schema, table, consent_position });
    }
    Ok(routes)
}
