//! The Rust parser of the input catalogue.

use crate::HEAD;
use crate::catalogue::{Catalogue, Fate, Group, InputField, Kind, Reason};
use crate::pascal;
use std::fmt::Write;

/// The module of the generated input types.
pub fn module() -> String {
    format!(
        "//! The event catalogue. {}mod event;\nmod event_type;\nmod reason;\n\npub use event::*;\npub use event_type::EventType;\n\
         pub use reason::{{Fate, Reason}};\n",
        HEAD.trim_start_matches("// ")
    )
}

/// The event, its groups and their readers.
pub fn event(catalogue: &Catalogue) -> String {
    let mut out = String::from(HEAD);
    out.push_str(
        "use super::super::error::{InField, Read, fault};\nuse super::super::extra::{self, Extra};\nuse super::super::scan::Scanner;\n\
         use super::super::values;\nuse super::{EventType, Reason};\nuse crate::Decimal;\nuse std::borrow::Cow;\n\n",
    );
    let properties = catalogue.fields.iter().find(|field| field.kind == Kind::Object);
    let max = properties.and_then(|field| field.max_bytes).unwrap_or_default();
    let _ = writeln!(
        out,
        "/// How many bytes properties and unknown fields may have together.\npub const MAX_PROPERTIES_BYTES: usize = {max};\n"
    );
    let id = catalogue.field("id").and_then(|field| field.max_bytes).unwrap_or_default();
    let _ = writeln!(out, "/// How many bytes an id may have.\npub const MAX_ID_BYTES: usize = {id};\n");
    let event = Group {
        name: "event".into(),
        doc: "One event of a shop, version 1 of the catalogue; borrows from the text it was read from.".into(),
        fields: Vec::new(),
    };
    structure(&mut out, catalogue, &event, &catalogue.fields, true);
    for group in &catalogue.groups {
        structure(&mut out, catalogue, group, &group.fields, false);
    }
    reader(&mut out, catalogue, "event", &catalogue.fields, true);
    for group in &catalogue.groups {
        reader(&mut out, catalogue, &group.name, &group.fields, false);
    }
    required(&mut out, catalogue);
    out
}

/// The enum of event types.
pub fn event_type(catalogue: &Catalogue) -> String {
    let names: Vec<(&str, &str)> = catalogue.types.iter().map(|ty| (ty.name.as_str(), ty.doc.as_str())).collect();
    let mut out = String::from(HEAD);
    out.push_str("use std::fmt;\n\n/// What happened.\n");
    enumeration(&mut out, "EventType", &names);
    out
}

/// The enum of reasons.
pub fn reason(reasons: &[Reason]) -> String {
    let names: Vec<(&str, &str)> = reasons.iter().map(|reason| (reason.name.as_str(), reason.doc.as_str())).collect();
    let mut out = String::from(HEAD);
    out.push_str("use std::fmt;\n\n/// Why something was not processed. The names are a contract.\n");
    enumeration(&mut out, "Reason", &names);
    out.push_str(
        "\n/// What becomes of what has a reason.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum Fate {\n    \
         /// The collector answers so; nothing is stored.\n    Answered,\n    /// It goes to the dead letters with its bytes.\n    \
         Rejected,\n    /// It is counted; its bytes are not kept.\n    Dropped,\n    /// It is accepted and counted.\n    Noted,\n}\n\n\
         impl Reason {\n    /// What becomes of it.\n    pub fn fate(self) -> Fate {\n        match self {\n",
    );
    for (fate, name) in
        [(Fate::Answered, "Answered"), (Fate::Rejected, "Rejected"), (Fate::Dropped, "Dropped"), (Fate::Noted, "Noted")]
    {
        let of_fate = reasons.iter().filter(|reason| reason.fate == fate);
        let names: Vec<String> = of_fate.map(|reason| format!("Self::{}", pascal(&reason.name))).collect();
        let _ = writeln!(out, "            {} => Fate::{name},", names.join(" | "));
    }
    out.push_str("        }\n    }\n}\n");
    out
}

fn enumeration(out: &mut String, name: &str, variants: &[(&str, &str)]) {
    let _ = writeln!(out, "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\npub enum {name} {{");
    for (variant, doc) in variants {
        let _ = writeln!(out, "    /// `{variant}`: {doc}\n    {},", pascal(variant));
    }
    let _ = writeln!(out, "}}\n\nimpl {name} {{\n    /// All there are.\n    pub const ALL: &'static [Self] = &[");
    for (variant, _) in variants {
        let _ = writeln!(out, "        Self::{},", pascal(variant));
    }
    out.push_str(
        "    ];\n\n    /// The name, snake case.\n    pub fn as_str(self) -> &'static str {\n        match self {\n",
    );
    for (variant, _) in variants {
        let _ = writeln!(out, "            Self::{} => {variant:?},", pascal(variant));
    }
    out.push_str("        }\n    }\n\n    /// By its name.\n    pub fn parse(name: &str) -> Option<Self> {\n        Some(match name {\n");
    for (variant, _) in variants {
        let _ = writeln!(out, "            {variant:?} => Self::{},", pascal(variant));
    }
    out.push_str("            _ => return None,\n        })\n    }\n\n    /// What it means.\n    pub fn doc(self) -> &'static str {\n        match self {\n");
    for (variant, doc) in variants {
        let _ = writeln!(out, "            Self::{} => {doc:?},", pascal(variant));
    }
    let _ = writeln!(
        out,
        "        }}\n    }}\n}}\n\nimpl fmt::Display for {name} {{\n    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n        \
         f.write_str(self.as_str())\n    }}\n}}"
    );
}

fn struct_name(group: &str) -> String {
    format!("Input{}", pascal(group))
}

/// Whether a group's values borrow from the text.
fn borrows(catalogue: &Catalogue, fields: &[InputField]) -> bool {
    fields.iter().any(|field| match field.kind {
        Kind::String | Kind::Object => true,
        Kind::Group => catalogue.group(&field.name).is_some_and(|group| borrows(catalogue, &group.fields)),
        Kind::Lines => field
            .of
            .as_deref()
            .and_then(|of| catalogue.group(of))
            .is_some_and(|group| borrows(catalogue, &group.fields)),
        _ => false,
    })
}

fn generics(catalogue: &Catalogue, fields: &[InputField]) -> &'static str {
    if borrows(catalogue, fields) { "<'a>" } else { "" }
}

fn structure(out: &mut String, catalogue: &Catalogue, group: &Group, fields: &[InputField], event: bool) {
    let derives = if event { "Clone, Debug, PartialEq, Eq" } else { "Clone, Debug, Default, PartialEq, Eq" };
    let generics = generics(catalogue, fields);
    let _ =
        writeln!(out, "/// {}\n#[derive({derives})]\npub struct {}{generics} {{", group.doc, struct_name(&group.name));
    for field in fields {
        let _ = writeln!(out, "    /// {}", doc(field));
        let _ = writeln!(out, "    pub {}: {},", ident(field), field_type(catalogue, field));
    }
    if event {
        out.push_str("    /// Fields that the catalogue does not name, wherever they stood, in the order in which they came.\n    pub extra: Vec<Extra<'a>>,\n");
    }
    out.push_str("}\n\n");
}

fn doc(field: &InputField) -> String {
    let mut doc = field.doc.clone();
    if let Some(unit) = &field.unit {
        let _ = write!(doc, " In {unit}.");
    }
    if field.kind == Kind::Time {
        doc.push_str(" Milliseconds since 1970 UTC.");
    }
    if field.kind == Kind::Consent {
        doc.push_str(" As bits, see [`crate::purposes`].");
    }
    if field.pii {
        doc.push_str(" Personal data.");
    }
    doc
}

fn ident(field: &InputField) -> String {
    if field.kind == Kind::EventType { "event_type".into() } else { field.name.clone() }
}

fn field_type(catalogue: &Catalogue, field: &InputField) -> String {
    let group_type = |name: &str| {
        let fields = catalogue.group(name).map_or(&[][..], |group| &group.fields);
        format!("{}{}", struct_name(name), generics(catalogue, fields))
    };
    let ty = match field.kind {
        Kind::String => "Cow<'a, str>".into(),
        Kind::Time | Kind::Long => "i64".into(),
        Kind::Decimal => "Decimal".into(),
        Kind::Currency => "&'static str".into(),
        Kind::Consent => "i32".into(),
        Kind::EventType => "EventType".into(),
        Kind::Object => "&'a str".into(),
        Kind::Group => group_type(&field.name),
        Kind::Lines => return format!("Vec<{}>", group_type(field.of.as_deref().unwrap_or_default())),
    };
    if field.required { ty } else { format!("Option<{ty}>") }
}

fn reader(out: &mut String, catalogue: &Catalogue, name: &str, fields: &[InputField], event: bool) {
    let (path, ty) = (if event { String::new() } else { format!("{name}.") }, struct_name(name));
    let life = if borrows(catalogue, fields) { "<'a>" } else { "" };
    if event {
        let _ = writeln!(out, "/// An event of which nothing is known; the id and the type hold their places only.");
        let _ = writeln!(out, "pub(in crate::input) fn empty_event<'a>() -> {ty}{life} {{\n    {ty} {{");
        for field in fields {
            let _ = writeln!(out, "        {}: {},", ident(field), empty(catalogue, field));
        }
        out.push_str("        extra: Vec::new(),\n    }\n}\n\n");
        // Into its place: an event is large, and each move copies it.
        out.push_str("/// Reads an event into an empty one.\n");
        let _ = writeln!(
            out,
            "pub(in crate::input) fn read_event<'a>(s: &mut Scanner<'a>, to: &mut {ty}{life}) -> Read<()> {{"
        );
    } else {
        let _ = writeln!(
            out,
            "fn read_{name}<'a>(s: &mut Scanner<'a>, to: &mut {ty}{life}, extra: &mut Vec<Extra<'a>>) -> Read<()> {{"
        );
    }
    for field in fields.iter().filter(|field| field.required) {
        let _ = writeln!(out, "    let mut {} = None;", ident(field));
    }
    out.push_str("    s.begin_object()?;\n    let mut first = true;\n    while let Some(key) = s.next_key(&mut first)? {\n        match &*key {\n");
    let extra = if event { "&mut to.extra" } else { "extra" };
    for field in fields {
        let path = format!("{path}{}", field.name);
        let ident = ident(field);
        let read = read_value(field, &path, extra);
        let _ = match (field.kind, field.required) {
            (Kind::Group, _) => writeln!(out, "            {:?} => {read},", field.name),
            (_, true) => writeln!(out, "            {:?} => {ident} = {read},", field.name),
            (_, false) => writeln!(out, "            {:?} => to.{ident} = {read},", field.name),
        };
    }
    let group = if event || name == "line" { "" } else { name };
    let push = if event { "to.extra" } else { "extra" };
    let _ = writeln!(out, "            _ => {push}.push(Extra::read({group:?}, key, s)?),\n        }}\n    }}");
    if event {
        // What is no JSON is that first, whatever it lacks besides.
        out.push_str("    s.end()?;\n");
    }
    for field in fields.iter().filter(|field| field.required) {
        let _ = writeln!(
            out,
            "    let Some({0}) = {0} else {{ return fault(Reason::MissingField, \"not given, null or empty\").in_field({1:?}) }};",
            ident(field),
            format!("{path}{}", field.name)
        );
    }
    for field in fields.iter().filter(|field| field.required) {
        let _ = writeln!(out, "    to.{0} = {0};", ident(field));
    }
    out.push_str(if event { "    extra::check_size(to)\n}\n\n" } else { "    Ok(())\n}\n\n" });
}

/// A field's value in an event of which nothing is known.
fn empty(catalogue: &Catalogue, field: &InputField) -> String {
    match (field.kind, field.required) {
        (Kind::Lines, _) => "Vec::new()".into(),
        (Kind::EventType, true) => {
            let first = catalogue.types.first().map(|ty| pascal(&ty.name)).unwrap_or_default();
            format!("EventType::{first}")
        }
        (Kind::String, true) => "Cow::Borrowed(\"\")".into(),
        (_, true) => "Default::default()".into(),
        (_, false) => "None".into(),
    }
}

fn read_value(field: &InputField, path: &str, extra: &str) -> String {
    let call = match field.kind {
        Kind::String => format!("values::string(s, {})", field.max_bytes.unwrap_or_default()),
        Kind::Time => "values::time(s)".into(),
        Kind::Long => {
            let max = field.max.map_or("i64::MAX".into(), |max| max.to_string());
            let reason = if field.name == "quantity" { "InvalidQuantity" } else { "OutOfRange" };
            format!("values::long(s, {}, {max}, Reason::{reason})", field.min.unwrap_or_default())
        }
        Kind::Decimal => "values::decimal(s)".into(),
        Kind::Currency => "values::currency(s)".into(),
        Kind::Consent => format!("values::consent(s, {extra})"),
        Kind::EventType => "values::event_type(s)".into(),
        Kind::Object => format!("values::object(s, {})", field.max_bytes.unwrap_or_default()),
        Kind::Group => format!("values::group(s, &mut to.{0}, {extra}, read_{0})", field.name),
        Kind::Lines => format!(
            "values::lines(s, {extra}, {path:?}, {}, read_{})",
            field.max_items.unwrap_or_default(),
            field.of.as_deref().unwrap_or_default()
        ),
    };
    format!("{call}.in_field({path:?})?")
}

fn required(out: &mut String, catalogue: &Catalogue) {
    out.push_str("/// Checks that the fields are there which the event's type needs.\n");
    let _ =
        writeln!(out, "pub(in crate::input) fn check_required(event: &{}<'_>) -> Read<()> {{", struct_name("event"));
    out.push_str("    match event.event_type {\n");
    let mut without = Vec::new();
    for ty in &catalogue.types {
        if ty.requires.is_empty() {
            without.push(format!("EventType::{}", pascal(&ty.name)));
            continue;
        }
        let _ = writeln!(out, "        EventType::{} => {{", pascal(&ty.name));
        for paths in &ty.requires {
            let paths: Vec<&str> = paths.split('|').collect();
            let there: Vec<String> = paths.iter().map(|path| is_there(catalogue, path)).collect();
            let detail = match paths.as_slice() {
                [_, others @ ..] if !others.is_empty() => format!("{} needs it, or {}", ty.name, others.join(" or ")),
                _ => format!("{} needs it", ty.name),
            };
            let _ = writeln!(out, "            values::need({}, {:?}, {detail:?})?;", there.join(" || "), paths[0]);
        }
        out.push_str("        }\n");
    }
    if !without.is_empty() {
        let _ = writeln!(out, "        {} => {{}}", without.join(" | "));
    }
    out.push_str("    }\n    Ok(())\n}\n");
}

fn is_there(catalogue: &Catalogue, path: &str) -> String {
    let lines = catalogue.field(path).is_some_and(|field| field.kind == Kind::Lines);
    match path.split_once('.') {
        Some((group, name)) if lines => format!("event.{group}.as_ref().is_some_and(|group| !group.{name}.is_empty())"),
        Some((group, name)) => format!("event.{group}.as_ref().is_some_and(|group| group.{name}.is_some())"),
        None => format!("event.{path}.is_some()"),
    }
}
