//! `[event.NAME]`: one kind of event that rows become.

use super::columns::Columns;
use super::fields::{EVENT_TYPES, Kind, LINE_FIELDS, Lookup, line_kind, lookup};
use super::text::Table;
use super::value::ValueSpec;
use crate::error::MappingError;

/// One kind of event.
#[derive(Debug, Clone)]
pub(crate) struct EventSpec {
    /// The table's name.
    pub(crate) name: String,
    /// The catalogue's type.
    pub(crate) event_type: String,
    /// The event's id; where there is none, or it is empty, it is made of data set, file and line (or the group's key).
    pub(crate) id: Option<ValueSpec>,
    /// Rows with the same key become one event, wherever they stand.
    pub(crate) group_by: Option<ValueSpec>,
    /// The event's fields, sorted by path, those of the order or refund last.
    pub(crate) fields: Vec<FieldSpec>,
    /// What each row adds to the order or refund.
    pub(crate) lines: Option<LineSpec>,
}

/// One field of an event.
#[derive(Debug, Clone)]
pub(crate) struct FieldSpec {
    /// Path in the event's JSON.
    pub(crate) path: Vec<String>,
    pub(crate) kind: Kind,
    pub(crate) value: ValueSpec,
}

/// One line of an order or refund.
#[derive(Debug, Clone)]
pub(crate) struct LineSpec {
    /// `order` or `refund`: where the lines go.
    pub(crate) container: &'static str,
    pub(crate) quantity: ValueSpec,
    pub(crate) price: ValueSpec,
    /// The line's amount, where the shop gives one; else quantity × price.
    pub(crate) amount: Option<ValueSpec>,
    /// Everything else.
    pub(crate) fields: Vec<FieldSpec>,
}

impl EventSpec {
    /// Reads `[event.NAME]`.
    pub(crate) fn read(name: &str, table: Table<'_>, columns: &mut Columns) -> Result<Self, MappingError> {
        let event_type = table.required_text("type")?;
        if !EVENT_TYPES.contains(&event_type) {
            let message = format!("unknown event type `{event_type}`; known: {}", EVENT_TYPES.join(", "));
            return Err(table.get("type").map_or_else(|| table.error(&message), |node| node.error(&message)));
        }
        let mut value = |key: &str| table.get(key).map(|node| ValueSpec::read(node, key, columns)).transpose();
        let (id, group_by) = (value("id")?, value("group_by")?);
        let mut fields = Vec::new();
        collect(table, &mut Vec::new(), &mut fields, columns)?;
        let container = match event_type {
            "purchase" | "offline_order" => Some("order"),
            "refund" => Some("refund"),
            _ => None,
        };
        let lines = match (table.table("lines")?, container) {
            (None, _) => None,
            (Some(lines), Some(container)) => Some(LineSpec::read(lines, container, columns)?),
            (Some(lines), None) => return Err(lines.error(format!("an event of type {event_type} has no lines"))),
        };
        if group_by.is_some() && lines.is_none() {
            return Err(table.error("`group_by` needs `lines`: what each row adds to the event"));
        }
        if let Some(lines) = &lines {
            let has = |path: [&str; 2]| fields.iter().any(|field: &FieldSpec| field.path == path);
            for needed in ["id", "currency"] {
                if !has([lines.container, needed]) {
                    return Err(table.error(format!("`{}.{needed}` is missing", lines.container)));
                }
            }
        }
        fields.sort_by(|a, b| {
            let last = |field: &FieldSpec| {
                lines.as_ref().is_some_and(|lines| field.path.first().is_some_and(|p| p == lines.container))
            };
            (last(a), &a.path).cmp(&(last(b), &b.path))
        });
        Ok(Self { name: name.to_owned(), event_type: event_type.to_owned(), id, group_by, fields, lines })
    }

    /// The value of the field with this path.
    pub(crate) fn field(&self, path: &[&str]) -> Option<&ValueSpec> {
        self.fields.iter().find(|field| field.path == path).map(|field| &field.value)
    }
}

/// Collects the fields under `table`; `path` is where it is.
fn collect(
    table: Table<'_>,
    path: &mut Vec<String>,
    fields: &mut Vec<FieldSpec>,
    columns: &mut Columns,
) -> Result<(), MappingError> {
    for (key, at, node) in table.entries() {
        if path.is_empty() && ["type", "id", "group_by", "lines"].contains(&key) {
            continue;
        }
        path.push(key.to_owned());
        match lookup(path) {
            Lookup::Field(kind) => {
                let value = ValueSpec::read(node, key, columns)?;
                fields.push(FieldSpec { path: path.clone(), kind, value });
            }
            Lookup::Object => collect(node.table(key)?, path, fields, columns)?,
            Lookup::Unknown(known) => {
                let message = format!("events have no field `{}`; known here: {}", path.join("."), known.join(", "));
                return Err(table.source.error(at, message));
            }
        }
        path.pop();
    }
    Ok(())
}

impl LineSpec {
    fn read(table: Table<'_>, container: &'static str, columns: &mut Columns) -> Result<Self, MappingError> {
        table.only(&LINE_FIELDS.map(|(name, _)| name))?;
        let mut value = |key: &str| {
            let node = table.get(key).ok_or_else(|| table.error(format!("`lines.{key}` is missing")))?;
            ValueSpec::read(node, key, columns)
        };
        value("product_id")?;
        let (quantity, price) = (value("quantity")?, value("price")?);
        let amount = table.get("amount").map(|node| ValueSpec::read(node, "amount", columns)).transpose()?;
        let mut fields = Vec::new();
        for (key, _, node) in table.entries().filter(|(key, ..)| !["quantity", "price", "amount"].contains(key)) {
            let kind = line_kind(key).unwrap_or(Kind::Text);
            fields.push(FieldSpec { path: vec![key.to_owned()], kind, value: ValueSpec::read(node, key, columns)? });
        }
        Ok(Self { container, quantity, price, amount, fields })
    }
}
