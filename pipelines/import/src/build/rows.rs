//! Takes the rows of all files and gives the events and the rejected rows.

use std::collections::{HashMap, HashSet};

use millstream_schemas::{Decimal, currency};

use super::fields::{self, text};
use super::group::{Group, Identity, Line, Lines};
use super::{ImportedEvent, Reject, RejectedRow, group_id, json, row_id};
use crate::mapping::{EventSpec, Fate, LineSpec, Mapping, ValueSpec, decimal};
use crate::read::{Cells, Row};

/// Gathers rows.
pub(crate) struct Builder<'m> {
    mapping: &'m Mapping,
    site: &'m str,
    data_set: &'m str,
    event_limit_bytes: usize,
    scratch: String,
    events: Vec<ImportedEvent>,
    /// Groups by event kind and key: index into `groups`.
    by_key: HashMap<(usize, Box<str>), usize>,
    groups: Vec<Group>,
    rejected: Vec<RejectedRow>,
    skipped: u64,
    size_bytes: usize,
}

/// Everything the files gave.
#[derive(Debug)]
pub(crate) struct Built {
    /// In order of time, file and line.
    pub(crate) events: Vec<ImportedEvent>,
    /// In order of file and line.
    pub(crate) rejected: Vec<RejectedRow>,
    /// Rows that a rule left out.
    pub(crate) skipped: u64,
    /// Events left out because an earlier one has the same id.
    pub(crate) duplicates: u64,
}

impl<'m> Builder<'m> {
    /// An empty builder.
    pub(crate) fn new(mapping: &'m Mapping, site: &'m str, data_set: &'m str, event_limit_bytes: usize) -> Self {
        Self {
            mapping,
            site,
            data_set,
            event_limit_bytes,
            scratch: String::new(),
            events: Vec::new(),
            by_key: HashMap::new(),
            groups: Vec::new(),
            rejected: Vec::new(),
            skipped: 0,
            size_bytes: 0,
        }
    }

    /// About how many bytes everything takes that has been gathered.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Rows rejected so far.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.len() as u64
    }

    /// Takes a row that could be read.
    pub(crate) fn row(&mut self, file: u32, file_name: &str, row: &Row, binding: &[usize]) {
        let cells = Cells::new(file_name, row, binding);
        let time = self.mapping.time.eval(&cells, &mut self.scratch);
        let time_ms = time.as_ref().ok().copied();
        let fate = self.fate(&cells);
        let result = match fate {
            Err(reject) => Err(reject),
            Ok(Fate::Skip) => {
                self.skipped += 1;
                Ok(())
            }
            Ok(Fate::Reject(reason)) => Err(Reject::new("mapping_rule", None, reason)),
            Ok(Fate::Event(kind)) => match time {
                Err(bad) => Err(Reject::value(bad, "time")),
                Ok(time_ms) => self.event(kind, time_ms, file, &cells),
            },
        };
        if let Err(reject) = result {
            self.reject(file, row.line, reject, time_ms, &row.raw);
        }
    }

    /// Takes a row that could not be read.
    pub(crate) fn bad_row(&mut self, file: u32, row: &Row, reason: &str, detail: String) {
        self.reject(file, row.line, Reject::new(reason, None, detail), None, &row.raw);
    }

    fn reject(&mut self, file: u32, line: u64, reject: Reject, time_ms: Option<i64>, raw: &[u8]) {
        let Reject { reason, field, detail } = reject;
        self.size_bytes += size_of::<RejectedRow>() + reason.len() + detail.len() + raw.len();
        self.rejected.push(RejectedRow { file, line, reason, field, detail, time_ms, raw: raw.into() });
    }

    fn fate(&mut self, row: &Cells<'_>) -> Result<Fate, Reject> {
        for rule in &self.mapping.rules {
            let holds = rule.holds(row, &mut self.scratch).map_err(|bad| Reject::new(bad.reason, None, bad.detail))?;
            if holds {
                return Ok(rule.fate.clone());
            }
        }
        Err(Reject::new(
            "mapping_rule",
            None,
            "no rule of the mapping speaks of this row; add one that maps, rejects or skips it",
        ))
    }

    fn event(&mut self, kind: usize, time_ms: i64, file: u32, row: &Cells<'_>) -> Result<(), Reject> {
        let mapping = self.mapping;
        let Some(spec) = mapping.events.get(kind) else { return Ok(()) };
        let scratch = &mut self.scratch;
        let identity = identity(spec, row, scratch)?;
        let key = text(spec.group_by.as_ref(), "group_by", row, scratch)?;
        if let Some(key) = key {
            let key = (kind, key.into_boxed_str());
            if let Some(group) = self.by_key.get(&key).and_then(|at| self.groups.get_mut(*at)) {
                if group.identity != identity {
                    let detail = format!(
                        "device, user or order differ from line {}, which has the same group key `{}`",
                        group.line, key.1
                    );
                    return Err(Reject::new("mapping_rule", None, detail));
                }
                if let (Some(lines), Some(spec)) = (&mut group.lines, &spec.lines) {
                    let line = line(spec, row, scratch)?;
                    self.size_bytes += line.size_bytes();
                    lines.lines.push(line);
                }
                group.time_ms = group.time_ms.min(time_ms);
                return Ok(());
            }
            let made = group_id(self.data_set, &spec.name, &key.1).to_string();
            let group = begin(spec, time_ms, file, row, identity, made, scratch)?;
            self.size_bytes += group.size_bytes() + key.1.len() * 2;
            self.by_key.insert(key, self.groups.len());
            self.groups.push(group);
            return Ok(());
        }
        if spec.group_by.is_some() {
            return Err(Reject::new("missing_field", Some("group_by"), "the row has no group key"));
        }
        let made = row_id(self.data_set, row.file(), row.line()).to_string();
        let group = begin(spec, time_ms, file, row, identity, made, scratch)?;
        let event = group.finish(self.site).map_err(|_| out_of_range())?;
        if event.payload.len() > self.event_limit_bytes {
            return Err(too_large(event.payload.len(), self.event_limit_bytes));
        }
        self.size_bytes += size_of::<ImportedEvent>() + event.payload.len() + event.key.len();
        self.events.push(event);
        Ok(())
    }

    /// Finishes the groups and sorts.
    pub(crate) fn finish(mut self) -> Built {
        drop(std::mem::take(&mut self.by_key));
        for group in std::mem::take(&mut self.groups) {
            let (file, line, time_ms, body) = (group.file, group.line, group.time_ms, group.body.clone());
            match group.finish(self.site) {
                Err(_) => self.reject(file, line, out_of_range(), Some(time_ms), &body),
                Ok(event) if event.payload.len() > self.event_limit_bytes => {
                    let reject = too_large(event.payload.len(), self.event_limit_bytes);
                    // Only as much of it as an event may have: a larger record could not be written either.
                    let kept = event.payload.get(..self.event_limit_bytes).unwrap_or_default();
                    self.reject(file, line, reject, Some(time_ms), kept);
                }
                Ok(event) => self.events.push(event),
            }
        }
        self.events.sort_unstable_by_key(|event| (event.time_ms, event.file, event.line));
        self.rejected.sort_by_key(|row| (row.file, row.line));
        let before = self.events.len();
        if self.mapping.events.iter().any(|event| event.id.is_some()) {
            // Only the data's own ids can repeat. Ingest lets an import's events through as they are, so this is the place.
            let mut seen = HashSet::with_capacity(before);
            self.events.retain(|event| seen.insert(event.id));
        }
        let duplicates = (before - self.events.len()) as u64;
        Built { events: self.events, rejected: self.rejected, skipped: self.skipped, duplicates }
    }
}

fn out_of_range() -> Reject {
    Reject::new("out_of_range", None, "its time or the sum of its amounts is out of range")
}

fn too_large(size_bytes: usize, limit_bytes: usize) -> Reject {
    Reject::new(
        "too_long",
        None,
        format!("the event has {size_bytes} bytes, the limit is {limit_bytes}; group fewer rows into one event"),
    )
}

fn identity(spec: &EventSpec, row: &Cells<'_>, scratch: &mut String) -> Result<Identity, Reject> {
    let mut of = |paths: &[[&str; 2]]| {
        for path in paths {
            let parts: Vec<&str> = path.iter().copied().filter(|part| !part.is_empty()).collect();
            if let Some(found) = text(spec.field(&parts), &parts.join("."), row, scratch)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    Ok(Identity {
        device: of(&[["device", ""]])?,
        user: of(&[["user", ""]])?,
        order: of(&[["order", "id"], ["refund", "order_id"], ["refund", "id"]])?,
    })
}

/// An event as its first row gives it.
fn begin(
    spec: &EventSpec,
    time_ms: i64,
    file: u32,
    row: &Cells<'_>,
    identity: Identity,
    made_id: String,
    scratch: &mut String,
) -> Result<Group, Reject> {
    let mut body = Vec::with_capacity(256);
    json::key(&mut body, "type");
    json::string(&mut body, &spec.event_type);
    fields::write(&spec.fields, row, spec.lines.as_ref().map(|lines| lines.container), scratch, &mut body)?;
    let lines = match &spec.lines {
        None => None,
        Some(lines) => {
            let given = |name: &str| spec.field(&[lines.container, name]);
            let currency = text(given("currency"), "currency", row, scratch)?;
            let digits = currency.as_deref().and_then(currency::minor_digits).ok_or_else(|| {
                Reject::new("missing_field", Some("currency"), "the row has no currency, so its amounts mean nothing")
            })?;
            if given("id").is_some() && identity.order.is_none() {
                return Err(Reject::new("missing_field", Some("id"), "the row has no order or refund id"));
            }
            Some(Lines { digits, amount_given: given("amount").is_some(), lines: vec![line(lines, row, scratch)?] })
        }
    };
    let id = text(spec.id.as_ref(), "id", row, scratch)?.unwrap_or(made_id);
    Ok(Group { time_ms, file, line: row.line(), id, identity, body, lines })
}

fn line(spec: &LineSpec, row: &Cells<'_>, scratch: &mut String) -> Result<Line, Reject> {
    let number = |value: &ValueSpec, name: &str, scratch: &mut String| -> Result<Option<Decimal>, Reject> {
        let field = format!("lines.{name}");
        match text(Some(value), &field, row, scratch)? {
            None => Ok(None),
            Some(text) => decimal(&text).map(Some).map_err(|bad| Reject::value(bad, &field)),
        }
    };
    let missing =
        |name: &str| Reject::new("missing_field", Some(&format!("lines.{name}")), "the row has no value for it");
    let quantity = text(Some(&spec.quantity), "lines.quantity", row, scratch)?.ok_or_else(|| missing("quantity"))?;
    let quantity: i64 = quantity.parse().ok().filter(|pieces| *pieces > 0).ok_or_else(|| {
        Reject::new("invalid_quantity", Some("lines.quantity"), format!("`{quantity}` is no whole number above zero"))
    })?;
    let price = number(&spec.price, "price", scratch)?.ok_or_else(|| missing("price"))?;
    let amount = match &spec.amount {
        Some(value) => number(value, "amount", scratch)?.ok_or_else(|| missing("amount"))?,
        None => price.times(quantity).ok_or_else(out_of_range)?,
    };
    if price.is_negative() || amount.is_negative() {
        return Err(Reject::new("negative_amount", Some("lines.price"), format!("{price} is below zero")));
    }
    let mut json = vec![b'{'];
    fields::write(&spec.fields, row, None, scratch, &mut json)?;
    json::key(&mut json, "quantity");
    json.extend_from_slice(quantity.to_string().as_bytes());
    json::key(&mut json, "price");
    json.extend_from_slice(price.to_string().as_bytes());
    Ok(Line { json: json.into_boxed_slice(), amount })
}
