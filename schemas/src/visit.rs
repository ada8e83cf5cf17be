//! Reads a record whose type is known only at run time: what sinks need.

use crate::avro::{DecodeError, DecodeErrorKind as Kind, Reader};
use crate::decimal::Decimal;
use crate::id::Id;
use crate::record::{Field, FieldType, RecordSchema};

/// A field's value, borrowed from the body.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 32-bit integer.
    Int(i32),
    /// A 64-bit integer.
    Long(i64),
    /// A 64-bit float.
    Double(f64),
    /// Milliseconds since 1970 UTC.
    Timestamp(i64),
    /// A decimal.
    Decimal(Decimal),
    /// A 128-bit id.
    Id(Id),
    /// A string, symbol or JSON text; the field's type says which.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Strings.
    Strings(Vec<&'a str>),
    /// Nested records: the values of each, in the order of the nested schema's fields.
    Records(Vec<Vec<Value<'a>>>),
}

/// Hands every field of `body` to `each`, in schema order. Ends at the first damage.
pub fn visit<'a>(
    schema: &'static RecordSchema,
    body: &'a [u8],
    each: &mut dyn FnMut(&'static Field, Value<'a>),
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(schema, body);
    for (position, field) in schema.fields.iter().enumerate() {
        let value = read_field(reader.at(position), field).map_err(|kind| reader.error(kind))?;
        each(field, value);
    }
    reader.finish()
}

fn read_field<'a>(reader: &mut Reader<'a>, field: &Field) -> Result<Value<'a>, Kind> {
    if field.appended && reader.is_at_end() {
        return Ok(match field.ty {
            FieldType::Strings => Value::Strings(Vec::new()),
            FieldType::Records(_) => Value::Records(Vec::new()),
            _ => Value::Null,
        });
    }
    if field.optional {
        return Ok(reader.optional(|reader| read_value(reader, field.ty))?.unwrap_or(Value::Null));
    }
    read_value(reader, field.ty)
}

fn read_value<'a>(reader: &mut Reader<'a>, ty: FieldType) -> Result<Value<'a>, Kind> {
    Ok(match ty {
        FieldType::Symbol | FieldType::String | FieldType::Json => Value::Str(reader.str()?),
        FieldType::Id => Value::Id(reader.id()?),
        FieldType::Bool => Value::Bool(reader.bool()?),
        FieldType::Int => Value::Int(reader.int()?),
        FieldType::Long => Value::Long(reader.long()?),
        FieldType::Double => Value::Double(reader.double()?),
        FieldType::Timestamp => Value::Timestamp(reader.long()?),
        FieldType::Decimal => Value::Decimal(reader.decimal()?),
        FieldType::Bytes => Value::Bytes(reader.bytes()?),
        FieldType::Strings => Value::Strings(reader.strings()?),
        FieldType::Records(nested) => Value::Records(reader.records(nested, |item: &mut Vec<_>, reader| {
            for (position, field) in nested.fields.iter().enumerate() {
                item.push(read_field(reader.at(position), field)?);
            }
            Ok(())
        })?),
    })
}
