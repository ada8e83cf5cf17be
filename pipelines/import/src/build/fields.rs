//! An event's fields, evaluated and checked against what they hold.

use millstream_schemas::currency::minor_digits;

use super::{Reject, json};
use crate::mapping::{FieldSpec, Kind, ValueSpec, decimal};
use crate::read::Cells;

/// Appends the fields that have a value, as members of an object that is open in `out`. Fields are sorted by path, so that those of
/// one nested object stand together. Leaves the object at `leave_open` open, and begins it even where it has no field.
pub(crate) fn write(
    fields: &[FieldSpec],
    row: &Cells<'_>,
    leave_open: Option<&str>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    let mut open: Vec<&str> = Vec::new();
    for field in fields {
        let name = || field.path.join(".");
        field.value.eval(row, scratch).map_err(|bad| Reject::value(bad, &name()))?;
        if scratch.is_empty() {
            continue;
        }
        let Some((leaf, parents)) = field.path.split_last() else { continue };
        let shared = open.iter().zip(parents).take_while(|(a, b)| *a == b).count();
        close(&mut open, shared, out);
        for parent in parents.get(shared..).unwrap_or_default() {
            json::key(out, parent);
            out.push(b'{');
            open.push(parent);
        }
        json::key(out, leaf);
        write_value(field.kind, scratch, out).map_err(|(reason, detail)| Reject::new(reason, Some(&name()), detail))?;
    }
    match leave_open {
        Some(container) if open.first() == Some(&container) => close(&mut open, 1, out),
        Some(container) => {
            close(&mut open, 0, out);
            json::key(out, container);
            out.push(b'{');
        }
        None => close(&mut open, 0, out),
    }
    Ok(())
}

fn close(open: &mut Vec<&str>, keep: usize, out: &mut Vec<u8>) {
    while open.len() > keep {
        open.pop();
        out.push(b'}');
    }
}

fn write_value(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), (&'static str, String)> {
    match kind {
        Kind::Text => json::string(out, text),
        Kind::Integer => {
            let number: i64 = text.parse().map_err(|_| ("wrong_type", format!("`{text}` is no whole number")))?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Kind::Decimal => {
            let number = decimal(text).map_err(|bad| (bad.reason, bad.detail))?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => out.extend_from_slice(b"true"),
            "false" | "0" | "no" => out.extend_from_slice(b"false"),
            _ => return Err(("wrong_type", format!("`{text}` is neither true nor false"))),
        },
        Kind::Currency => {
            minor_digits(text).ok_or_else(|| ("unknown_currency", format!("`{text}` is no ISO 4217 code in use")))?;
            json::string(out, text);
        }
    }
    Ok(())
}

/// A value as text of its own; `None` where the row gives none.
pub(crate) fn text(
    value: Option<&ValueSpec>,
    name: &str,
    row: &Cells<'_>,
    scratch: &mut String,
) -> Result<Option<String>, Reject> {
    let Some(value) = value else { return Ok(None) };
    value.eval(row, scratch).map_err(|bad| Reject::value(bad, name))?;
    Ok((!scratch.is_empty()).then(|| scratch.clone()))
}
