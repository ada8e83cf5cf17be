//! ClickHouse's RowBinary, written from a record's values as the DDL types them. Names and types go before the rows (`types`).

use millstream_schemas::{Field, FieldType, RecordSchema, Value};

/// Appends one row: the schema's fields, then `log_partition`, `log_offset` and `log_topic_id`.
pub(super) fn write_row(
    out: &mut Vec<u8>,
    schema: &RecordSchema,
    values: &[Value<'_>],
    log_partition: u32,
    log_offset: u64,
    log_topic_id: &str,
) -> Result<(), String> {
    write_fields(out, schema, values)?;
    out.extend_from_slice(&log_partition.to_le_bytes());
    out.extend_from_slice(&log_offset.to_le_bytes());
    write_bytes(out, log_topic_id.as_bytes());
    Ok(())
}

fn write_fields(out: &mut Vec<u8>, schema: &RecordSchema, values: &[Value<'_>]) -> Result<(), String> {
    if values.len() != schema.fields.len() {
        return Err(format!("{} values for the {} fields of {}", values.len(), schema.fields.len(), schema.name));
    }
    for (field, value) in schema.fields.iter().zip(values) {
        write_field(out, field, value)?;
    }
    Ok(())
}

/// Appends one field as the tables hold it. Where a value is of another type than its field it says so.
///
/// # Errors
/// In words, with the field's name.
pub fn write_field(out: &mut Vec<u8>, field: &Field, value: &Value<'_>) -> Result<(), String> {
    if field.optional {
        // Nullable: one byte says whether a value follows.
        out.push(u8::from(*value == Value::Null));
        if *value == Value::Null {
            return Ok(());
        }
    }
    match (field.ty, value) {
        (FieldType::Symbol | FieldType::String | FieldType::Json, Value::Str(text)) => {
            write_bytes(out, text.as_bytes())
        }
        (FieldType::Id, Value::Id(id)) => write_bytes(out, &id.to_hex()),
        (FieldType::Bytes, Value::Bytes(bytes)) => write_bytes(out, bytes),
        (FieldType::Bool, Value::Bool(value)) => out.push(u8::from(*value)),
        (FieldType::Int, Value::Int(value)) => out.extend_from_slice(&value.to_le_bytes()),
        // A revision is UInt64 in the table: the same eight bytes.
        (FieldType::Long, Value::Long(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (FieldType::Double, Value::Double(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (FieldType::Timestamp, Value::Timestamp(ms)) => out.extend_from_slice(&ms.to_le_bytes()),
        (FieldType::Decimal, Value::Decimal(value)) => out.extend_from_slice(&value.mantissa().to_le_bytes()),
        (FieldType::Strings, Value::Strings(texts)) => {
            write_length(out, texts.len());
            texts.iter().for_each(|text| write_bytes(out, text.as_bytes()));
        }
        (FieldType::Records(nested), Value::Records(records)) => {
            write_length(out, records.len());
            for record in records {
                write_fields(out, nested, record)?;
            }
        }
        (ty, value) => return Err(format!("field {} is {ty:?} and cannot hold {value:?}", field.name)),
    }
    Ok(())
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// LEB128.
pub(super) fn write_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_leb128() {
        for (length, bytes) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
            let mut out = Vec::new();
            write_length(&mut out, length);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let field = millstream_schemas::Session::RECORD.fields.iter().find(|field| field.name == "events").unwrap();
        let mut out = Vec::new();
        assert!(write_field(&mut out, field, &Value::Str("seven")).is_err());
        assert!(write_field(&mut out, field, &Value::Long(7)).is_ok());
    }
}
