//! Rust types.

use crate::HEAD;
use crate::clickhouse;
use crate::definition::{Definition, FieldDefinition, Type};
use crate::type_name;
use std::fmt::Write;

/// The module of all records.
pub fn module(definitions: &[Definition]) -> String {
    let mut out = String::from("//! The records. ");
    out.push_str(HEAD.trim_start_matches("// "));
    let names: Vec<String> = definitions.iter().map(type_name).collect();
    for definition in definitions {
        let _ = writeln!(out, "mod {};", definition.name);
    }
    out.push('\n');
    for (definition, name) in definitions.iter().zip(&names) {
        let _ = writeln!(out, "pub use {}::{name};", definition.name);
    }
    out.push_str(
        "\n/// All records, nested ones too, by id.\npub const RECORDS: &[&crate::record::RecordSchema] = &[\n",
    );
    for name in &names {
        let _ = writeln!(out, "    {name}::RECORD,");
    }
    out.push_str(
        "];\n\n/// Calls the macro `$each` with the types of all records that stand alone, separated by commas.\n",
    );
    out.push_str("#[macro_export]\nmacro_rules! for_each_record {\n    ($each:ident) => {\n        $each!(");
    let alone: Vec<String> = definitions
        .iter()
        .filter(|definition| !definition.nested)
        .map(|d| format!("$crate::{}", type_name(d)))
        .collect();
    let _ = writeln!(out, "{});\n    }};\n}}", alone.join(", "));
    out
}

/// One record's type and schema.
pub fn record(definition: &Definition, all: &[Definition]) -> String {
    let name = type_name(definition);
    let borrows = borrows(definition, all);
    let (generics, any) = if borrows { ("<'a>", "<'_>") } else { ("", "") };
    let life = if borrows { "'a" } else { "'_" };
    let mut out = String::from(HEAD);
    out.push_str("use crate::avro::write::Writer;\nuse crate::avro::{DecodeError, DecodeErrorKind, Reader};\n");
    out.push_str("use crate::record::{DecodeRecord, Field, FieldType, Record, RecordSchema};\n");
    for field in &definition.fields {
        if let Some(items) = nested(field, all) {
            let _ = writeln!(out, "use super::{};", type_name(items));
        }
    }
    let _ = writeln!(out, "\n/// {}", definition.doc);
    let _ = writeln!(out, "#[derive(Clone, Debug, Default, PartialEq)]\npub struct {name}{generics} {{");
    for field in &definition.fields {
        let _ = writeln!(out, "    /// {}", doc(field));
        let _ = writeln!(out, "    pub {}: {},", ident(field), field_type(field, all));
    }
    out.push_str("}\n\n");

    let _ = writeln!(out, "impl{generics} {name}{generics} {{");
    if !definition.nested {
        let _ = writeln!(out, "    /// Our schema id: what a frame carries where no registry is configured.");
        let _ = writeln!(out, "    pub const ID: u32 = {};", definition.id);
        let topic = definition.topic.as_deref().unwrap_or_default();
        let _ = writeln!(out, "    /// The topic it is written to.\n    pub const TOPIC: &'static str = {topic:?};");
    }
    out.push_str("    /// Its schema.\n    pub const RECORD: &'static RecordSchema = &SCHEMA;\n\n");
    out.push_str("    /// Appends the Avro body.\n    pub fn encode(&self, out: &mut Vec<u8>) {\n");
    let room_bytes = ROOM_BYTES_PER_FIELD * definition.fields.len();
    let _ = writeln!(out, "        let mut writer = Writer::new(out, {room_bytes});");
    out.push_str("        self.write(&mut writer);\n        writer.finish();\n    }\n\n");
    out.push_str("    pub(crate) fn write(&self, w: &mut Writer<'_>) {\n");
    for field in &definition.fields {
        let _ = writeln!(out, "        {}", encode(field));
    }
    out.push_str("    }\n\n");
    if !definition.nested {
        out.push_str("    /// Appends a Confluent frame: a zero byte, the schema id, the body.\n");
        out.push_str("    pub fn encode_framed(&self, schema_id: u32, out: &mut Vec<u8>) {\n");
        out.push_str("        crate::frame::begin(schema_id, out);\n        self.encode(out);\n    }\n\n");
        let (method_generics, body) = if borrows { ("", "&'a [u8]") } else { ("", "&[u8]") };
        let _ = writeln!(out, "    /// Reads an Avro body{}.", if borrows { ", borrowing from it" } else { "" });
        let _ = writeln!(out, "    pub fn decode{method_generics}(body: {body}) -> Result<Self, DecodeError> {{");
        out.push_str(
            "        let mut reader = Reader::new(&SCHEMA, body);\n        let mut record = Self::default();\n",
        );
        out.push_str("        record.read(&mut reader).map_err(|kind| reader.error(kind))?;\n");
        out.push_str("        reader.finish()?;\n        Ok(record)\n    }\n\n");
    }
    let _ = writeln!(
        out,
        "    /// Reads the fields into a record in which none is given.\n    \
         pub(crate) fn read(&mut self, r: &mut Reader<{life}>) -> Result<(), DecodeErrorKind> {{"
    );
    read_fields(&mut out, definition, all);
    out.push_str("        Ok(())\n    }\n}\n\n");

    let _ = writeln!(out, "impl Record for {name}{any} {{\n    const SCHEMA: &'static RecordSchema = &SCHEMA;\n");
    out.push_str("    fn encode(&self, out: &mut Vec<u8>) {\n        self.encode(out);\n    }\n}\n\n");
    if definition.nested {
        out = out.replace("DecodeRecord, ", "").replace("{DecodeError, DecodeErrorKind", "{DecodeErrorKind");
    } else {
        let _ = writeln!(out, "impl<'a> DecodeRecord<'a> for {name}{generics} {{");
        out.push_str(
            "    fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {\n        Self::decode(body)\n    }\n}\n\n",
        );
    }
    out.push_str(&schema(definition, all));
    out
}

fn schema(definition: &Definition, all: &[Definition]) -> String {
    let mut out = String::from("static SCHEMA: RecordSchema = RecordSchema {\n");
    let _ = writeln!(out, "    name: {:?},\n    id: {},", definition.name, definition.id);
    let _ = writeln!(out, "    topic: {:?},", definition.topic.as_deref().unwrap_or_default());
    let _ = writeln!(out, "    table: {:?},\n    key: &{:?},", definition.table, definition.key);
    let _ = writeln!(out, "    append_only: {},\n    doc: {:?},", definition.append_only, definition.doc);
    let _ = writeln!(out, "    since: {:?},", definition.since);
    let earlier = definition.earlier.iter().map(|earlier| {
        let file = format!("../../released/{}/{}.avsc", earlier.version, definition.name);
        format!("({}, include_str!({file:?}))", earlier.id)
    });
    let _ = writeln!(out, "    earlier: &[{}],", earlier.collect::<Vec<_>>().join(", "));
    let _ = writeln!(out, "    avro_json: include_str!(\"../../avro/{}.avsc\"),", definition.name);
    out.push_str("    clickhouse_ddl: &[\n");
    for object in clickhouse::objects(definition, all) {
        let _ = writeln!(out, "        include_str!(\"../../clickhouse/{}.sql\"),", object.name);
    }
    out.push_str("    ],\n    fields: &[\n");
    for field in &definition.fields {
        let ty = match field.ty {
            Type::Symbol => "Symbol".into(),
            Type::String => "String".into(),
            Type::Json => "Json".into(),
            Type::Id => "Id".into(),
            Type::Bool => "Bool".into(),
            Type::Int => "Int".into(),
            Type::Long => "Long".into(),
            Type::Double => "Double".into(),
            Type::Timestamp => "Timestamp".into(),
            Type::Decimal => "Decimal".into(),
            Type::Bytes => "Bytes".into(),
            Type::Strings => "Strings".into(),
            Type::Array => format!("Records({}::RECORD)", nested(field, all).map(type_name).unwrap_or_default()),
        };
        let _ = writeln!(
            out,
            "        Field {{ name: {:?}, ty: FieldType::{ty}, optional: {}, pii: {}, unit: {:?}, doc: {:?}, since: {:?}, appended: {} }},",
            field.name,
            field.optional,
            field.pii,
            field.unit,
            field.doc,
            field.since.as_ref().unwrap_or(&definition.since),
            definition.appended(field),
        );
    }
    out.push_str("    ],\n};\n");
    out
}

fn nested<'a>(field: &FieldDefinition, all: &'a [Definition]) -> Option<&'a Definition> {
    let items = field.items.as_ref()?;
    all.iter().find(|other| other.name == *items)
}

fn borrows(definition: &Definition, all: &[Definition]) -> bool {
    definition.fields.iter().any(|field| match field.ty {
        Type::Symbol | Type::String | Type::Json | Type::Bytes | Type::Strings => true,
        Type::Array => nested(field, all).is_some_and(|items| borrows(items, all)),
        _ => false,
    })
}

fn doc(field: &FieldDefinition) -> String {
    let mut doc = field.doc.clone();
    if let Some(unit) = &field.unit {
        let _ = write!(doc, " In {unit}.");
    }
    if field.pii {
        doc.push_str(" Personal data.");
    }
    doc
}

fn ident(field: &FieldDefinition) -> String {
    if matches!(field.name.as_str(), "match" | "type" | "ref" | "use" | "where" | "in" | "as" | "move" | "loop") {
        return format!("r#{}", field.name);
    }
    field.name.clone()
}

fn field_type(field: &FieldDefinition, all: &[Definition]) -> String {
    let ty = match field.ty {
        Type::Symbol | Type::String | Type::Json => "&'a str".into(),
        Type::Id => "crate::Id".into(),
        Type::Bool => "bool".into(),
        Type::Int => "i32".into(),
        Type::Long | Type::Timestamp => "i64".into(),
        Type::Double => "f64".into(),
        Type::Decimal => "crate::Decimal".into(),
        Type::Bytes => "&'a [u8]".into(),
        Type::Strings => "Vec<&'a str>".into(),
        Type::Array => nested(field, all).map_or_else(String::new, |items| {
            format!("Vec<{}{}>", type_name(items), if borrows(items, all) { "<'a>" } else { "" })
        }),
    };
    if field.optional { format!("Option<{ty}>") } else { ty }
}

/// The function that reads and the one that writes a type.
fn codec(ty: Type) -> &'static str {
    match ty {
        Type::Symbol | Type::String | Type::Json => "str",
        Type::Id => "id",
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Long | Type::Timestamp => "long",
        Type::Double => "double",
        Type::Decimal => "decimal",
        Type::Bytes => "bytes",
        Type::Strings => "strings",
        Type::Array => "records",
    }
}

/// Room made for a field on average, so that most records make room once.
const ROOM_BYTES_PER_FIELD: usize = 20;
/// Optional fields in a row are read together where this many of them are null: one look instead of one each.
const NULLS: std::ops::RangeInclusive<usize> = 3..=8;

fn read_fields(out: &mut String, definition: &Definition, all: &[Definition]) {
    let mut position = 0;
    while position < definition.fields.len() {
        let rest = &definition.fields[position..];
        let row = rest.iter().take(*NULLS.end()).take_while(|field| field.optional).count();
        if NULLS.contains(&row) {
            let _ = writeln!(out, "        if !r.nulls::<{row}>() {{");
            for (at, field) in rest[..row].iter().enumerate() {
                let _ = writeln!(out, "            {}", read_field(position + at, field, definition, all));
            }
            out.push_str("        }\n");
            position += row;
        } else {
            let _ = writeln!(out, "        {}", read_field(position, &rest[0], definition, all));
            position += 1;
        }
    }
}

fn read_field(position: usize, field: &FieldDefinition, definition: &Definition, all: &[Definition]) -> String {
    let read = format!("self.{} = r.at({position}).{};", ident(field), decode(field, all));
    // A record written before the field was appended ends here.
    if definition.appended(field) { format!("if !r.is_at_end() {{ {read} }}") } else { read }
}

fn encode(field: &FieldDefinition) -> String {
    let (name, codec) = (ident(field), codec(field.ty));
    match field.ty {
        Type::Strings => format!("w.array(&self.{name}, |w, item| w.str(item));"),
        Type::Array => format!("w.array(&self.{name}, |w, item| item.write(w));"),
        _ if field.optional => format!("w.optional(self.{name}, Writer::{codec});"),
        _ => format!("w.{codec}(self.{name});"),
    }
}

fn decode(field: &FieldDefinition, all: &[Definition]) -> String {
    let codec = codec(field.ty);
    match nested(field, all).map(type_name) {
        Some(items) => format!("records({items}::RECORD, {items}::read)?"),
        None if field.optional => format!("optional(Reader::{codec})?"),
        None => format!("{codec}()?"),
    }
}
