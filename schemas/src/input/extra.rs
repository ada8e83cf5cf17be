//! Fields that the catalogue does not name: kept, and written among the event's properties.

use super::InputEvent;
use super::error::Read;
use super::scan::Scanner;
use super::{InputError, MAX_PROPERTIES_BYTES, Reason};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A field that the catalogue does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra<'a> {
    /// Where it stood: its name, behind the group's (`page.author`) or the line's (`order.lines[2].size`).
    pub path: Cow<'a, str>,
    /// Its value, as it was sent.
    pub json: &'a str,
}

impl<'a> Extra<'a> {
    /// Keeps the value that follows. `group` is empty at the top level.
    pub(super) fn read(group: &str, key: Cow<'a, str>, scanner: &mut Scanner<'a>) -> Read<Self> {
        let json = scanner.raw()?;
        let path = if group.is_empty() { key } else { Cow::Owned(format!("{group}.{key}")) };
        Ok(Self { path, json })
    }
}

/// Checks that properties and extra fields together are not too long.
pub(super) fn check_size(event: &InputEvent<'_>) -> Read<()> {
    let extra: usize = event.extra.iter().map(|extra| extra.path.len() + extra.json.len()).sum();
    let bytes = event.properties.map_or(0, str::len) + extra;
    if bytes <= MAX_PROPERTIES_BYTES {
        return Ok(());
    }
    let detail = format!("properties and unknown fields are {bytes} bytes, {MAX_PROPERTIES_BYTES} are allowed");
    Err(Box::new(InputError { reason: Reason::TooLong, field: Cow::Borrowed("properties"), detail: detail.into() }))
}

impl<'a> InputEvent<'a> {
    /// The properties and all unknown fields as one JSON object; `None` where there are neither. A property keeps its name; an
    /// unknown field of the same name is written as `event.<name>`.
    pub fn all_properties(&self) -> Option<Cow<'a, str>> {
        let members = self.properties.map_or("", |text| text[1..text.len() - 1].trim_ascii());
        if self.extra.is_empty() {
            return if members.is_empty() { None } else { self.properties.map(Cow::Borrowed) };
        }
        let taken = property_names(self.properties);
        let mut seen = BTreeSet::new();
        // Of a key that is there twice the last one holds, as everywhere.
        let mut fields: Vec<&Extra<'_>> = self.extra.iter().rev().filter(|extra| seen.insert(&*extra.path)).collect();
        fields.reverse();
        let mut out = String::with_capacity(members.len() + fields.len() * 32);
        out.push('{');
        out.push_str(members);
        for extra in fields {
            if out.len() > 1 {
                out.push(',');
            }
            let clash = if taken.contains(&extra.path) { "event." } else { "" };
            push_json_string(&mut out, &format!("{clash}{}", extra.path));
            out.push(':');
            out.push_str(extra.json);
        }
        out.push('}');
        Some(Cow::Owned(out))
    }
}

fn property_names(properties: Option<&str>) -> BTreeSet<Cow<'_, str>> {
    let mut names = BTreeSet::new();
    // The text was read once already, so that reading it again cannot fail.
    let _ = properties.map(|text| -> Read<()> {
        let mut scanner = Scanner::of_text(text);
        scanner.begin_object()?;
        let mut first = true;
        while let Some(name) = scanner.next_key(&mut first)? {
            names.insert(name);
            scanner.raw()?;
        }
        Ok(())
    });
    names
}

fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => out.push(other),
        }
    }
    out.push('"');
}
