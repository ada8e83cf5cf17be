//! A row in JSON, as warehouses write it, to the record that it was.

use millstream_schemas::avro::write;
use millstream_schemas::{Decimal, Field, FieldType, Id, RecordSchema};
use serde_json::{Map, Value};

/// Appends the Avro body of a row. A decimal that came as a number has 15 digits at most: no price has more.
///
/// # Errors
/// Which column cannot be what it is, and why.
pub fn encode(schema: &'static RecordSchema, row: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), String> {
    for field in schema.fields {
        let value = row.get(field.name).unwrap_or(&Value::Null);
        let encoded = match value {
            Value::Null if field.optional => {
                write::optional(out, None::<()>, |_, ()| {});
                Some(())
            }
            _ if field.optional => {
                let mut inner = Vec::new();
                let encoded = encode_value(field, value, &mut inner)?;
                write::optional(out, Some(inner), |out, inner| out.extend_from_slice(&inner));
                encoded
            }
            _ => encode_value(field, value, out)?,
        };
        encoded.ok_or_else(|| format!("column {}: {value} is no {:?}", field.name, field.ty))?;
    }
    Ok(())
}

/// Milliseconds UTC of a time as warehouses write it.
pub fn millis(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `None` where the value is of another type.
fn encode_value(field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<Option<()>, String> {
    let done = match field.ty {
        FieldType::Symbol | FieldType::String | FieldType::Json => value.as_str().map(|text| write::str(out, text)),
        FieldType::Id => value.as_str().and_then(|hex| Id::from_hex(hex.as_bytes())).map(|id| write::id(out, id)),
        FieldType::Bool => value.as_bool().map(|is| write::bool(out, is)),
        FieldType::Int | FieldType::Long => whole(value).map(|number| write::long(out, number)),
        FieldType::Timestamp => millis(value).map(|ms| write::long(out, ms)),
        FieldType::Decimal => decimal(value).map(|decimal| write::decimal(out, decimal)),
        FieldType::Records(nested) => {
            let Some(items) = value.as_array() else { return Ok(None) };
            if !items.is_empty() {
                write::long(out, items.len() as i64);
                for item in items {
                    let Some(item) = item.as_object() else { return Ok(None) };
                    encode(nested, item, out).map_err(|why| format!("column {}, {why}", field.name))?;
                }
            }
            write::long(out, 0);
            Some(())
        }
        // No accepted event has them.
        FieldType::Double | FieldType::Bytes | FieldType::Strings => None,
    };
    Ok(done)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::parse_exact(text).ok(),
        Value::Number(number) => Decimal::parse_exact(&number.to_string()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use millstream_schemas::{Event, Line, Record};
    use serde_json::json;

    use super::*;

    fn event(row: &Value) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        encode(Event::SCHEMA, row.as_object().unwrap(), &mut body).map(|()| body)
    }

    fn least() -> Value {
        json!({
            "site": "shop", "event_id": "e", "revision": 7, "retracted": false, "event_type": "purchase",
            "event_time": "2026-01-02T03:04:05.678Z", "received_at": "2026-01-02T03:04:06.000Z", "time_quality": "as_sent",
            "consent": 15, "is_bot": false, "origin": "http", "channel": "email", "device_class": "mobile", "os": "ios",
            "browser": "safari", "lines": [],
        })
    }

    #[test]
    fn a_row_is_the_record_that_it_was() {
        let mut row = least();
        row["person"] = json!("000000000000000000000000000000ff");
        row["unit_price"] = json!(12.5);
        row["amount_minor"] = json!("9007199254740993");
        row["lines"] =
            json!([{"line_no": 1, "product_id": "p", "quantity": 2, "unit_price": "6.250000", "amount_minor": 1250}]);
        let body = event(&row).unwrap();
        let read = Event::decode(&body).unwrap();
        assert_eq!((read.event_time, read.received_at), (1_767_323_045_678, 1_767_323_046_000));
        assert_eq!((read.person, read.amount_minor), (Some(Id(255)), Some(9_007_199_254_740_993)));
        assert_eq!(read.unit_price.map(|price| price.to_string()).as_deref(), Some("12.5"));
        let unit_price = Decimal::parse_exact("6.25").unwrap();
        let line =
            Line { line_no: 1, product_id: "p", quantity: 2, unit_price, amount_minor: 1_250, ..Line::default() };
        assert_eq!((read.lines, read.coupon), (vec![line], None));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (column, value, why) in [
            ("received_at", json!("soon"), "column received_at: \"soon\" is no Timestamp"),
            ("event_id", json!(null), "column event_id: null is no String"),
            ("person", json!("f"), "column person: \"f\" is no Id"),
            ("lines", json!([{}]), "column lines, column line_no: null is no Int"),
        ] {
            let mut row = least();
            row[column] = value;
            assert_eq!(event(&row), Err(why.to_owned()));
        }
    }
}
