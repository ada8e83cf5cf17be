//! The types that the tables' columns have, as the server writes them.

use millstream_schemas::{Field, FieldType, RecordSchema};

use super::row_binary::{write_bytes, write_length};

/// Columns of a history table that are not the record's own, and their types.
pub(super) const LOG_COLUMNS: [(&str, &str); 3] =
    [("log_partition", "UInt32"), ("log_offset", "UInt64"), (TOPIC_COLUMN, TOPIC_TYPE)];
/// The column that says of which topic a row's partition and offset are, and its type.
pub(super) const TOPIC_COLUMN: &str = "log_topic_id";
pub(super) const TOPIC_TYPE: &str = "LowCardinality(String)";

/// The type of a record's column.
pub(super) fn column_type(field: &Field) -> String {
    let symbol = match (field.ty, field.optional) {
        (FieldType::Symbol, true) => Some("LowCardinality(Nullable(String))"),
        (FieldType::Symbol, false) => Some("LowCardinality(String)"),
        _ => None,
    };
    symbol.map_or_else(|| plain_type(field), str::to_owned)
}

/// The same inside a tuple, where symbols are plain strings.
fn plain_type(field: &Field) -> String {
    let ty = match field.ty {
        // What ReplacingMergeTree wants as a version.
        _ if field.name == "revision" => return "UInt64".to_owned(),
        FieldType::Records(nested) => {
            let parts: Vec<String> =
                nested.fields.iter().map(|part| format!("{} {}", part.name, plain_type(part))).collect();
            return format!("Array(Tuple({}))", parts.join(", "));
        }
        FieldType::Strings => return "Array(String)".to_owned(),
        FieldType::Symbol | FieldType::String | FieldType::Json | FieldType::Id | FieldType::Bytes => "String",
        FieldType::Bool => "Bool",
        FieldType::Int => "Int32",
        FieldType::Long => "Int64",
        FieldType::Double => "Float64",
        FieldType::Timestamp => "DateTime64(3, 'UTC')",
        FieldType::Decimal => "Decimal(18, 6)",
    };
    if field.optional { format!("Nullable({ty})") } else { ty.to_owned() }
}

/// The columns of a record's history table, with their types, in the order in which rows are written.
pub(super) fn history_columns(schema: &RecordSchema) -> Vec<(&'static str, String)> {
    let own = schema.fields.iter().map(|field| (field.name, column_type(field)));
    own.chain(LOG_COLUMNS.map(|(name, ty)| (name, ty.to_owned()))).collect()
}

/// What precedes rows: names and types of the columns. The server compares them with the table's on every insert, so that rows never
/// go into columns of another type.
pub(super) fn header(schema: &RecordSchema) -> Vec<u8> {
    let columns = history_columns(schema);
    let mut out = Vec::with_capacity(columns.len() * 40);
    write_length(&mut out, columns.len());
    columns.iter().for_each(|(name, _)| write_bytes(&mut out, name.as_bytes()));
    columns.iter().for_each(|(_, ty)| write_bytes(&mut out, ty.as_bytes()));
    out
}

/// A type without the blanks that servers write differently.
pub(super) fn normal(ty: &str) -> String {
    ty.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::delivered_records;

    #[test]
    fn types_are_those_of_the_tables() {
        for (schema, table) in delivered_records() {
            let ddl = schema.clickhouse_ddl.first().unwrap();
            for field in schema.fields {
                let line = format!("    `{}` {} COMMENT ", field.name, column_type(field));
                assert!(ddl.contains(&line), "{table}: {line}");
            }
        }
    }

    #[test]
    fn blanks_make_no_other_type() {
        assert_eq!(normal("Array(Tuple(\n    a Int32,\n    b String))"), "Array(Tuple(a Int32, b String))");
    }
}
