//! What a snapshot keeps of the stage.
//!
//! | section | key | value |
//! |---|---|---|
//! | 0 | 1 | what each upstream has announced ([`WatermarkGate`]) |
//! | 0 | 2 | whether timers may be due that the last announcement was not let fire |
//! | 0 | 3 | the shops' settings: each body as it came, and consent policies ([`Sites`]) |
//! | 0 | 4 | promotions: site → artefact, or the fallback ([`Models`](crate::models::Models)) |
//! | 0 | 5 | counts of what became of the records |
//! | 0 | 6 | how far partitions are with what they send each other ([`Feedback`]); not in snapshots of logic version 1 |
//! | 1 | person | sources with sessions, visits, touches, purchases and held records; orders, churn and value; due times ([`Person`]) |
//! | 2 | order or refund without order ([`state_id`](millstream_operators::orders::state_id)) | tellings, owners, addressee, due time ([`Order`]) |
//! | 3 | hash(site) | number of the last control record taken in |
//!
//! Section 0 is written whole in every snapshot, of the others what has changed. Every value begins with the version of its format, one
//! byte. Timers and the bytes of held records are not kept: they follow from the persons and orders. Artefacts are loaded again by
//! their names.
//!
//! A new format of a value: raise its `VERSION`, read both, and add a fixture (`fixtures/README.md`).

use std::collections::BTreeMap;

use millstream_operators::core::encoding::write;
use millstream_operators::core::watermark::{WatermarkGate, text};
use millstream_operators::core::{StateError, StateReader};
use millstream_operators::orders::Order;
use millstream_operators::person::Person;
use millstream_operators::site::Sites;
use millstream_runtime::{Entries, RestoreError, SnapshotState};
use millstream_schemas::Id;

use crate::feedback::Feedback;
use crate::stage::{Fates, ProfileStage};

/// Small state, written whole.
const SMALL: u8 = 0;
/// Persons.
const PEOPLE: u8 = 1;
/// Orders.
const ORDERS: u8 = 2;
/// Numbers of control records.
const CONTROL_NUMBERS: u8 = 3;

const GATE: u128 = 1;
const BEHIND: u128 = 2;
const SITES: u128 = 3;
const MODELS: u128 = 4;
const FATES: u128 = 5;
const FEEDBACK: u128 = 6;
const SMALL_KEYS: [u128; 6] = [GATE, BEHIND, SITES, MODELS, FATES, FEEDBACK];
/// Those that every snapshot has, however old.
const ALWAYS: [u128; 5] = [GATE, BEHIND, SITES, MODELS, FATES];

/// Version of the encodings here: of the flag, of a number, of the counts.
const VERSION: u8 = 1;

/// More records than a partition will ever have: counts beyond it are damage.
const COUNT_MAX: u64 = 1 << 48;

/// Small state on its way.
#[derive(Debug, Default)]
pub(crate) struct Small {
    /// As it was when the snapshot began, until it is written.
    to_write: Vec<(u128, Vec<u8>)>,
    /// Keys taken in from a snapshot.
    restored: Vec<u128>,
}

fn number(value: &[u8]) -> Result<i64, StateError> {
    let (_, mut reader) = StateReader::versioned(value, VERSION)?;
    let number = reader.long()?;
    reader.finish()?;
    Ok(number)
}

fn write_number(out: &mut Vec<u8>, number: i64) {
    out.push(VERSION);
    write::long(out, number);
}

fn write_fates(out: &mut Vec<u8>, fates: Fates) {
    out.push(VERSION);
    for count in [fates.applied, fates.rejected] {
        // Below 2⁴⁸.
        write::long(out, count as i64);
    }
}

fn fates(value: &[u8]) -> Result<Fates, StateError> {
    let (_, mut reader) = StateReader::versioned(value, VERSION)?;
    let fates = Fates { applied: reader.small()?, rejected: reader.small()? };
    reader.finish()?;
    if fates.applied.max(fates.rejected) > COUNT_MAX {
        return Err(StateError::impossible(format!("counts of records as they cannot be: {fates:?}")));
    }
    Ok(fates)
}

/// Writes an entry, or that there is none any more; returns whether more may be written.
fn put<V>(out: &mut Entries, section: u8, key: u128, value: Option<V>, encode: impl FnOnce(V, &mut Vec<u8>)) -> bool {
    match value {
        Some(value) => out.push(section, key, |bytes| encode(value, bytes)),
        None => out.push_gone(section, key),
    }
    !out.is_full()
}

impl ProfileStage {
    fn encode_small(&self, key: u128, out: &mut Vec<u8>) {
        match key {
            GATE => self.gate.encode(out),
            BEHIND => write_number(out, i64::from(self.behind)),
            SITES => self.sites.encode(out),
            MODELS => self.models.encode(out),
            FEEDBACK => self.feedback.encode(out),
            _ => write_fates(out, self.fates),
        }
    }

    fn restore_small(&mut self, key: u128, value: &[u8]) -> Result<(), StateError> {
        match key {
            GATE => self.gate = WatermarkGate::decode(value)?,
            BEHIND => {
                self.behind = number(value)? != 0;
                self.behind_committed = self.behind;
            }
            SITES => self.sites = Sites::decode(value)?,
            MODELS => self.models.restore(value)?,
            FATES => {
                self.fates = fates(value)?;
                self.fates_committed = self.fates;
            }
            FEEDBACK => self.feedback = Feedback::decode(value)?,
            _ => return Err(StateError::impossible(format!("small state {key}, which this program does not know"))),
        }
        Ok(())
    }

    fn restore_entry(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), StateError> {
        match section {
            SMALL if self.small.restored.contains(&key) => {}
            SMALL => {
                self.restore_small(key, value)?;
                self.small.restored.push(key);
            }
            PEOPLE => self.people.restore(Id(key), value)?,
            ORDERS => self.orders.restore(Id(key), value)?,
            CONTROL_NUMBERS => {
                self.control_numbers.try_restore(key, || number(value))?;
            }
            _ => return Err(StateError::impossible(format!("section {section}, which this program does not know"))),
        }
        Ok(())
    }
}

impl SnapshotState for ProfileStage {
    fn track(&mut self) {
        self.people.track();
        self.orders.track();
        self.control_numbers.track();
    }

    fn begin(&mut self) {
        self.small.to_write.clear();
        for key in SMALL_KEYS {
            let mut value = Vec::new();
            self.encode_small(key, &mut value);
            self.small.to_write.push((key, value));
        }
        self.people.mark();
        self.orders.mark();
        self.control_numbers.mark();
    }

    fn write(&mut self, out: &mut Entries) -> bool {
        for (key, value) in self.small.to_write.drain(..) {
            out.push(SMALL, key, |bytes| bytes.extend_from_slice(&value));
        }
        self.people.next_changed(|key, person| put(out, PEOPLE, key, person, Person::encode))
            && self.orders.next_changed(|key, order| put(out, ORDERS, key, order, Order::encode))
            && self.control_numbers.next_changed(|key, last| {
                put(out, CONTROL_NUMBERS, key, last, |last, bytes| write_number(bytes, *last))
            })
    }

    fn end(&mut self, kept: bool) {
        self.small.to_write.clear();
        self.people.end_mark(kept);
        self.orders.end_mark(kept);
        self.control_numbers.end_mark(kept);
    }

    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        let result = self.restore_entry(section, key, value);
        result.map_err(|error| RestoreError { section, key, detail: error.to_string() })
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        for key in ALWAYS {
            if !self.small.restored.contains(&key) {
                let detail = "every snapshot has this entry, and it is missing: a file was lost".to_owned();
                return Err(RestoreError { section: SMALL, key, detail });
            }
        }
        self.small.restored = Vec::new();
        self.people.restored();
        Ok(())
    }

    fn about(&self) -> BTreeMap<String, String> {
        let watermark_ms = self.gate.current_ms();
        let held_bytes = self.people.held_bytes();
        [
            ("watermark_ms", watermark_ms.to_string()),
            ("watermark", text(watermark_ms)),
            ("persons", self.people.len().to_string()),
            ("orders", self.orders.len().to_string()),
            ("held_bytes", held_bytes.to_string()),
            ("models", self.models.about()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
