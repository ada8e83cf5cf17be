//! Columns under construction: values of records become Arrow arrays.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, ListArray, ListBuilder, StringBuilder, StructArray, TimestampMillisecondBuilder, UInt64Builder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use millstream_schemas::{Field, FieldType, RecordSchema, Value, decimal};

use crate::tables::{UTC, item, nested_fields};

/// One column under construction.
pub(crate) enum Column {
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Revision(UInt64Builder),
    Double(Float64Builder),
    Timestamp(TimestampMillisecondBuilder),
    Decimal(Decimal128Builder),
    Bytes(BinaryBuilder),
    Strings(ListBuilder<StringBuilder>),
    Records(RecordsColumn),
}

/// A list of nested records.
pub(crate) struct RecordsColumn {
    schema: &'static RecordSchema,
    columns: Vec<Column>,
    /// Where each row's list ends among the nested records.
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Column {
    pub(crate) fn new(field: &'static Field) -> Result<Self, ArrowError> {
        Ok(match field.ty {
            FieldType::Symbol | FieldType::String | FieldType::Json | FieldType::Id => Self::Text(StringBuilder::new()),
            FieldType::Bool => Self::Bool(BooleanBuilder::new()),
            FieldType::Int => Self::Int(Int32Builder::new()),
            FieldType::Long if field.name == "revision" => Self::Revision(UInt64Builder::new()),
            FieldType::Long => Self::Long(Int64Builder::new()),
            FieldType::Double => Self::Double(Float64Builder::new()),
            FieldType::Timestamp => Self::Timestamp(TimestampMillisecondBuilder::new().with_timezone(UTC)),
            FieldType::Decimal => Self::Decimal(
                Decimal128Builder::new().with_precision_and_scale(decimal::PRECISION as u8, decimal::SCALE as i8)?,
            ),
            FieldType::Bytes => Self::Bytes(BinaryBuilder::new()),
            FieldType::Strings => {
                Self::Strings(ListBuilder::new(StringBuilder::new()).with_field(item(DataType::Utf8)))
            }
            FieldType::Records(schema) => {
                Self::Records(RecordsColumn { schema, columns: all(schema)?, ends: Vec::new(), valid: Vec::new() })
            }
        })
    }

    /// Appends a value, or says why it does not fit.
    pub(crate) fn append(&mut self, value: &Value<'_>) -> Result<(), String> {
        match (self, value) {
            (Self::Text(column), Value::Str(text)) => column.append_value(text),
            (Self::Text(column), Value::Id(id)) => column.append_value(id.to_string()),
            (Self::Text(column), Value::Null) => column.append_null(),
            (Self::Bool(column), Value::Bool(value)) => column.append_value(*value),
            (Self::Bool(column), Value::Null) => column.append_null(),
            (Self::Int(column), Value::Int(value)) => column.append_value(*value),
            (Self::Int(column), Value::Null) => column.append_null(),
            (Self::Long(column), Value::Long(value)) => column.append_value(*value),
            (Self::Long(column), Value::Null) => column.append_null(),
            (Self::Revision(column), Value::Long(value)) => column.append_value(value.cast_unsigned()),
            (Self::Revision(column), Value::Null) => column.append_null(),
            (Self::Double(column), Value::Double(value)) => column.append_value(*value),
            (Self::Double(column), Value::Null) => column.append_null(),
            (Self::Timestamp(column), Value::Timestamp(ms)) => column.append_value(*ms),
            (Self::Timestamp(column), Value::Null) => column.append_null(),
            (Self::Decimal(column), Value::Decimal(value)) => column.append_value(i128::from(value.mantissa())),
            (Self::Decimal(column), Value::Null) => column.append_null(),
            (Self::Bytes(column), Value::Bytes(bytes)) => column.append_value(bytes),
            (Self::Bytes(column), Value::Null) => column.append_null(),
            (Self::Strings(column), Value::Strings(texts)) => {
                texts.iter().for_each(|text| column.values().append_value(text));
                column.append(true);
            }
            (Self::Strings(column), Value::Null) => column.append(false),
            (Self::Records(column), Value::Records(records)) => column.append(records)?,
            (Self::Records(column), Value::Null) => column.end_row(false),
            (_, other) => return Err(format!("a column of another type cannot hold {other:?}")),
        }
        Ok(())
    }

    /// The finished array; the column begins anew.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
            Self::Int(column) => ArrayBuilder::finish(column),
            Self::Long(column) => ArrayBuilder::finish(column),
            Self::Revision(column) => ArrayBuilder::finish(column),
            Self::Double(column) => ArrayBuilder::finish(column),
            Self::Timestamp(column) => ArrayBuilder::finish(column),
            Self::Decimal(column) => ArrayBuilder::finish(column),
            Self::Bytes(column) => Arc::new(column.finish()),
            Self::Strings(column) => Arc::new(column.finish()),
            Self::Records(column) => Arc::new(column.finish()?),
        })
    }
}

impl RecordsColumn {
    fn append(&mut self, records: &[Vec<Value<'_>>]) -> Result<(), String> {
        for record in records {
            if record.len() != self.columns.len() {
                return Err(format!(
                    "{} values for the {} fields of {}",
                    record.len(),
                    self.columns.len(),
                    self.schema.name
                ));
            }
            for (column, value) in self.columns.iter_mut().zip(record) {
                column.append(value)?;
            }
        }
        let before = self.ends.last().copied().unwrap_or(0);
        let count = i32::try_from(records.len()).map_err(|_| "too many nested records".to_owned())?;
        let end = before.checked_add(count).ok_or("too many nested records in one batch")?;
        self.ends.push(end);
        self.valid.push(true);
        Ok(())
    }

    fn end_row(&mut self, valid: bool) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.valid.push(valid);
    }

    fn finish(&mut self) -> Result<ListArray, ArrowError> {
        let fields = nested_fields(self.schema);
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let records = StructArray::try_new(fields.clone(), arrays, None)?;
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends.drain(..)).collect();
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(std::mem::take(&mut self.valid)));
        self.valid.clear();
        ListArray::try_new(item(DataType::Struct(fields)), OffsetBuffer::new(offsets.into()), Arc::new(records), nulls)
    }
}

/// The columns of a record, empty.
pub(crate) fn all(schema: &'static RecordSchema) -> Result<Vec<Column>, ArrowError> {
    schema.fields.iter().map(Column::new).collect()
}

/// Bytes that a value takes in a column, about.
pub(crate) fn size_bytes(value: &Value<'_>) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) => 4,
        Value::Long(_) | Value::Double(_) | Value::Timestamp(_) => 8,
        Value::Decimal(_) => 16,
        Value::Id(_) => 36,
        Value::Str(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        Value::Strings(texts) => texts.iter().map(|text| text.len() + 4).sum::<usize>() + 4,
        Value::Records(records) => records.iter().flatten().map(size_bytes).sum::<usize>() + 4,
    }
}
