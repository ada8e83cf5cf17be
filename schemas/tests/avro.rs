//! Our Avro encoding against the `apache-avro` crate, for arbitrary values of every record; and against damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use apache_avro::types::Value as Oracle;
use apache_avro::{Decimal as OracleDecimal, Schema};
use millstream_schemas::{
    Decimal, DecodeError, Field, FieldType, Id, RECORDS, Record, RecordSchema, Value, for_each_record, visit,
};
use proptest::prelude::*;

/// A record's values without their types: strings owned, so that proptest can keep them.
fn arbitrary(schema: &'static RecordSchema) -> BoxedStrategy<Vec<(String, Oracle)>> {
    let fields: Vec<BoxedStrategy<(String, Oracle)>> = schema.fields.iter().map(arbitrary_field).collect();
    fields.boxed()
}

fn arbitrary_field(field: &'static Field) -> BoxedStrategy<(String, Oracle)> {
    let value = arbitrary_value(field.ty);
    let value = if field.optional {
        prop_oneof![
            // Nulls in a row are the rule.
            3 => Just(Oracle::Union(0, Box::new(Oracle::Null))),
            1 => value.prop_map(|value| Oracle::Union(1, Box::new(value)))
        ]
        .boxed()
    } else {
        value
    };
    value.prop_map(|value| (field.name.to_string(), value)).boxed()
}

fn arbitrary_value(ty: FieldType) -> BoxedStrategy<Oracle> {
    match ty {
        FieldType::Symbol | FieldType::String | FieldType::Json => any_text().prop_map(Oracle::String).boxed(),
        FieldType::Id => any::<u128>().prop_map(|id| Oracle::String(Id(id).to_string())).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Oracle::Boolean).boxed(),
        FieldType::Int => any::<i32>().prop_map(Oracle::Int).boxed(),
        FieldType::Long => any_magnitude().prop_map(Oracle::Long).boxed(),
        FieldType::Timestamp => any_magnitude().prop_map(Oracle::TimestampMillis).boxed(),
        FieldType::Double => any::<f64>()
            .prop_filter("NaN differs from itself", |value| !value.is_nan())
            .prop_map(Oracle::Double)
            .boxed(),
        FieldType::Decimal => any_magnitude()
            .prop_map(|mantissa| Oracle::Decimal(OracleDecimal::from(shortest(mantissa % 10i64.pow(18)))))
            .boxed(),
        FieldType::Bytes => prop::collection::vec(any::<u8>(), 0..80).prop_map(Oracle::Bytes).boxed(),
        FieldType::Strings => {
            prop::collection::vec(".{0,9}".prop_map(Oracle::String), 0..5).prop_map(Oracle::Array).boxed()
        }
        FieldType::Records(nested) => {
            prop::collection::vec(arbitrary(nested).prop_map(Oracle::Record), 0..4).prop_map(Oracle::Array).boxed()
        }
    }
}

/// Text of all scripts, and ASCII of all lengths: each is read in a way of its own.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", "[ -~]{0,20}", "[ -~]{50,150}", "[ -~]{0,90}.[ -~]{0,90}"]
}

/// Integers of every length, not only the long ones that `any` mostly gives.
fn any_magnitude() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
}

/// The shortest two's complement, found by trying.
fn shortest(mantissa: i64) -> Vec<u8> {
    let all = mantissa.to_be_bytes();
    let fits = |from: usize| {
        let sign = if all[from] >= 0x80 { 0xff } else { 0 };
        (sign == 0xff) == (mantissa < 0) && all[..from].iter().all(|byte| *byte == sign)
    };
    let from = (0..8).rev().find(|from| fits(*from)).unwrap();
    all[from..].to_vec()
}

/// What our visitor hands out, in the oracle's words.
fn as_oracle(field: &Field, value: Value<'_>) -> Oracle {
    let plain = match (value, field.ty) {
        (Value::Null, _) => return Oracle::Union(0, Box::new(Oracle::Null)),
        (Value::Bool(value), _) => Oracle::Boolean(value),
        (Value::Int(value), _) => Oracle::Int(value),
        (Value::Long(value), _) => Oracle::Long(value),
        (Value::Double(value), _) => Oracle::Double(value),
        (Value::Timestamp(value), _) => Oracle::TimestampMillis(value),
        (Value::Decimal(value), _) => Oracle::Decimal(OracleDecimal::from(shortest(value.mantissa()))),
        (Value::Id(value), _) => Oracle::String(value.to_string()),
        (Value::Str(value), _) => Oracle::String(value.to_string()),
        (Value::Bytes(value), _) => Oracle::Bytes(value.to_vec()),
        (Value::Strings(items), _) => {
            Oracle::Array(items.iter().map(|item| Oracle::String(item.to_string())).collect())
        }
        (Value::Records(items), FieldType::Records(nested)) => {
            let item = |values: Vec<Value<'_>>| {
                let pairs = nested.fields.iter().zip(values);
                Oracle::Record(pairs.map(|(field, value)| (field.name.to_string(), as_oracle(field, value))).collect())
            };
            Oracle::Array(items.into_iter().map(item).collect())
        }
        (Value::Records(_), other) => panic!("records for a field of type {other:?}"),
    };
    if field.optional { Oracle::Union(1, Box::new(plain)) } else { plain }
}

/// Decodes `body` as the generated type of `schema` and encodes it again.
fn through_the_type(schema: &'static RecordSchema, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    macro_rules! each {
        ($($record:ty),*) => {
            $(if schema.name == <$record>::RECORD.name {
                let record = <$record>::decode(body)?;
                let mut out = Vec::new();
                Record::encode(&record, &mut out);
                return Ok(out);
            })*
        };
    }
    for_each_record!(each);
    panic!("no type for {}", schema.name)
}

fn standing_alone() -> Vec<&'static RecordSchema> {
    RECORDS.iter().copied().filter(|schema| !schema.topic.is_empty()).collect()
}

/// Any record with any value of it, as the oracle encodes it.
fn any_body() -> impl Strategy<Value = (&'static RecordSchema, Vec<(String, Oracle)>, Vec<u8>)> {
    prop::sample::select(standing_alone()).prop_flat_map(|schema| {
        arbitrary(schema).prop_map(move |values| {
            let avro = Schema::parse_str(schema.avro_json).unwrap();
            let body = apache_avro::to_avro_datum(&avro, Oracle::Record(values.clone())).unwrap();
            (schema, values, body)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_the_oracle_wrote_we_read_and_write_byte_for_byte((schema, values, body) in any_body()) {
        prop_assert_eq!(&through_the_type(schema, &body).unwrap(), &body);

        let mut seen = Vec::new();
        visit(schema, &body, &mut |field, value| seen.push((field.name.to_string(), as_oracle(field, value)))).unwrap();
        prop_assert_eq!(&seen, &values);

        let avro = Schema::parse_str(schema.avro_json).unwrap();
        let read = apache_avro::from_avro_datum(&avro, &mut body.as_slice(), None).unwrap();
        prop_assert_eq!(read, Oracle::Record(values));
    }

    #[test]
    fn a_body_cut_anywhere_is_an_error_that_names_its_place((schema, _, body) in any_body(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(body.len());
        let error = through_the_type(schema, &body[..cut]).unwrap_err();
        prop_assert!(error.position <= cut && !error.field.is_empty(), "{}", error);
        let visited = visit(schema, &body[..cut], &mut |_, _| {});
        prop_assert!(visited.is_err());
    }

    #[test]
    fn a_damaged_body_never_panics((schema, _, mut body) in any_body(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let at = at.index(body.len());
        body[at] = byte;
        let typed = through_the_type(schema, &body).map(|_| ());
        prop_assert_eq!(typed, visit(schema, &body, &mut |_, _| {}));
    }

    #[test]
    fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for schema in standing_alone() {
            let typed = through_the_type(schema, &body).map(|_| ());
            prop_assert_eq!(typed, visit(schema, &body, &mut |_, _| {}));
        }
    }
}

#[test]
fn bytes_after_the_last_field_are_an_error() {
    let mut body = Vec::new();
    millstream_schemas::Tick { origin: "live", time: 7 }.encode(&mut body);
    body.push(0);
    let error = millstream_schemas::Tick::decode(&body).unwrap_err();
    assert_eq!(error.to_string(), "record tick: bytes follow the last field at byte 6");
}

#[test]
fn an_array_cannot_claim_more_than_is_there() {
    use millstream_schemas::{DecodeErrorKind, Propensity};
    let mut body = Vec::new();
    Propensity::default().encode(&mut body);
    body.pop();
    // 2⁴⁰ reasons, and one byte of them.
    body.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00]);
    let error = Propensity::decode(&body).unwrap_err();
    assert_eq!((error.field, error.kind), ("reasons", DecodeErrorKind::TooManyItems));
}

#[test]
fn arrays_in_sized_blocks_are_read() {
    // A negative count is followed by the block's size; other writers use it.
    let mut body = Vec::new();
    let want = millstream_schemas::Propensity { reasons: vec!["a", "b", "c"], ..Default::default() };
    want.encode(&mut body);
    body.truncate(body.len() - 8);
    body.extend_from_slice(&[0x03, 0x08, 0x02, b'a', 0x02, b'b', 0x02, 0x02, b'c', 0x00]);
    assert_eq!(millstream_schemas::Propensity::decode(&body).unwrap(), want);
}

#[test]
fn decimals_take_the_shortest_form() {
    for (mantissa, bytes) in
        [(0i64, 1usize), (127, 1), (128, 2), (-128, 1), (-129, 2), (255, 2), (10i64.pow(18) - 1, 8)]
    {
        let mut out = Vec::new();
        millstream_schemas::avro::write::decimal(&mut out, Decimal::from_mantissa(mantissa).unwrap());
        assert_eq!(out.len(), bytes + 1, "{mantissa}");
    }
}
