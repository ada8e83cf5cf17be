//! The Arrow schemas of the tables: one column a field, then where the row stands in the log.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};
use millstream_schemas::{Field, FieldType, RecordSchema, decimal};

/// Every timestamp is UTC.
pub(crate) const UTC: &str = "UTC";

/// The columns of a record's table.
pub(crate) fn table_schema(schema: &RecordSchema) -> SchemaRef {
    let mut columns: Vec<ArrowField> = schema.fields.iter().map(column).collect();
    columns.push(ArrowField::new("log_partition", DataType::UInt32, false));
    columns.push(ArrowField::new("log_offset", DataType::UInt64, false));
    Arc::new(Schema::new(columns))
}

fn column(field: &Field) -> ArrowField {
    ArrowField::new(field.name, data_type(field), field.optional)
}

/// The fields of a nested record.
pub(crate) fn nested_fields(schema: &RecordSchema) -> Fields {
    schema.fields.iter().map(column).collect()
}

/// A list's only field.
pub(crate) fn item(data_type: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type, false))
}

fn data_type(field: &Field) -> DataType {
    match field.ty {
        FieldType::Symbol | FieldType::String | FieldType::Json | FieldType::Id => DataType::Utf8,
        FieldType::Bool => DataType::Boolean,
        FieldType::Int => DataType::Int32,
        // The hand-over count in its highest bits must compare as the largest part, as in ClickHouse.
        FieldType::Long if field.name == "revision" => DataType::UInt64,
        FieldType::Long => DataType::Int64,
        FieldType::Double => DataType::Float64,
        FieldType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        FieldType::Decimal => DataType::Decimal128(decimal::PRECISION as u8, decimal::SCALE as i8),
        FieldType::Bytes => DataType::Binary,
        FieldType::Strings => DataType::List(item(DataType::Utf8)),
        FieldType::Records(nested) => DataType::List(item(DataType::Struct(nested_fields(nested)))),
    }
}
