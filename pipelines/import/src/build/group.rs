//! An event in the making: one row, or all rows with one key.

use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_schemas::{Decimal, Id};

use super::{ImportedEvent, json, money};

/// Who and what an event is about: what its partition depends on, and what all rows of a group must agree in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) order: Option<String>,
}

/// An event whose last row may not have come yet.
#[derive(Debug)]
pub(crate) struct Group {
    /// The earliest of its rows.
    pub(crate) time_ms: i64,
    pub(crate) file: u32,
    pub(crate) line: u64,
    pub(crate) id: String,
    pub(crate) identity: Identity,
    /// Members of the event's object; the last one, order or refund, is open where there are lines.
    pub(crate) body: Vec<u8>,
    pub(crate) lines: Option<Lines>,
}

/// The lines of an order or refund.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Digits of the currency's minor unit.
    pub(crate) digits: u32,
    /// Whether the mapping gave the order's amount; else it is the lines' sum.
    pub(crate) amount_given: bool,
    pub(crate) lines: Vec<Line>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its object, open, without the amount.
    pub(crate) json: Box<[u8]>,
    /// Quantity × price, or what the shop gave; zero or more.
    pub(crate) amount: Decimal,
}

/// An event that cannot be finished.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange;

impl Group {
    /// The finished event.
    pub(crate) fn finish(self, site: &str) -> Result<ImportedEvent, OutOfRange> {
        let mut payload = Vec::with_capacity(self.body.len() + 128);
        payload.push(b'{');
        json::key(&mut payload, "id");
        json::string(&mut payload, &self.id);
        json::key(&mut payload, "time");
        let time = jiff::Timestamp::from_millisecond(self.time_ms).map_err(|_| OutOfRange)?;
        json::string(&mut payload, &format!("{time:.3}"));
        payload.push(b',');
        payload.extend_from_slice(&self.body);
        if let Some(lines) = &self.lines {
            lines.write(&mut payload)?;
            payload.push(b'}');
        }
        payload.push(b'}');
        let identity = InputIdentity {
            device: self.identity.device.as_deref(),
            user: self.identity.user.as_deref(),
            order: self.identity.order.as_deref(),
            event: Some(&self.id),
        };
        let mut key = Vec::new();
        input_key(site, identity, &mut key);
        Ok(ImportedEvent {
            id: Id::of(&[self.id.as_bytes()]),
            time_ms: self.time_ms,
            file: self.file,
            line: self.line,
            payload: payload.into_boxed_slice(),
            key: key.into_boxed_slice(),
        })
    }

    /// About how many bytes it takes in memory, its lines apart.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len() + self.id.len()
    }
}

impl Line {
    /// About how many bytes it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

impl Lines {
    /// Appends the amount, where the mapping gave none, and the lines.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), OutOfRange> {
        let exact: Vec<Decimal> = self.lines.iter().map(|line| line.amount).collect();
        let total = money::sum(exact.iter().copied()).ok_or(OutOfRange)?.to_minor_half_up(self.digits);
        let decimal =
            |minor: i64| Decimal::from_minor(minor, self.digits).map(|amount| amount.to_string()).ok_or(OutOfRange);
        if !self.amount_given {
            json::key(out, "amount");
            out.extend_from_slice(decimal(total)?.as_bytes());
        }
        json::key(out, "lines");
        out.push(b'[');
        for (at, (line, minor)) in self.lines.iter().zip(money::split(&exact, total, self.digits)).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&line.json);
            json::key(out, "amount");
            out.extend_from_slice(decimal(minor)?.as_bytes());
            out.push(b'}');
        }
        out.push(b']');
        Ok(())
    }
}
