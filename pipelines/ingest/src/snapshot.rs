//! What a snapshot keeps of the stage.
//!
//! | section | key | value |
//! |---|---|---|
//! | 0 | 1 | the sites' settings: each body as it came, and consent policies ([`Sites`]) |
//! | 0 | 2 | the watermark: how far the input's time has come, and what was announced ([`Watermark`]) |
//! | 0 | 3 | counts of what became of the records ([`Fates`]) |
//! | 0 | 4 | where de-duplication stands: width of its buckets, horizon, newest and oldest bucket |
//! | 0 | 5 | whether the namespace is closed; only there where it was once ([`Closed`]) |
//! | 1 | device, or user without device ([`Identities::key`](crate::identity::Identities::key)) | login, user, consent ([`Entry`]) |
//! | 2 | event id, hashed with its site | its bucket: four bytes, big-endian, and nothing else |
//!
//! Section 0 is written whole in every snapshot, of the others what has changed. Every value but those of section 2 begins with the
//! version of its format, one byte. An id is written once, when it is new; with its bucket it expires
//! ([`Entries::expire_below`]).
//!
//! A new format of a value: raise its `VERSION`, read both, and add a fixture (`fixtures/README.md`). Another format of section 2 would be a
//! section of another number.

use std::collections::BTreeMap;

use millstream_operators::core::StateError;
use millstream_operators::core::watermark::text;
use millstream_operators::site::Sites;
use millstream_runtime::{Entries, RestoreError, SnapshotState};

use crate::closed::Closed;
use crate::fates::Fates;
use crate::identity::Entry;
use crate::stage::IngestStage;
use crate::watermark::Watermark;

/// Small state, written whole.
const SMALL: u8 = 0;
/// Devices, and users without device.
const IDENTITIES: u8 = 1;
/// Event ids.
const IDS: u8 = 2;

const SITES: u128 = 1;
const WATERMARK: u128 = 2;
const FATES: u128 = 3;
const DEDUP: u128 = 4;
const CLOSED: u128 = 5;
/// In every snapshot.
const SMALL_KEYS: [u128; 4] = [SITES, WATERMARK, FATES, DEDUP];

/// Small state on its way.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// As it was when the snapshot began, until it is written.
    to_write: Vec<(u128, Vec<u8>)>,
    /// Keys taken in from a snapshot.
    restored: Vec<u128>,
}

impl IngestStage {
    fn encode_small(&self, key: u128, out: &mut Vec<u8>) {
        match key {
            SITES => self.sites.encode(out),
            WATERMARK => self.now.watermark.encode(out),
            FATES => self.now.fates.encode(out),
            _ => self.dedup.encode_position(out),
        }
    }

    fn restore_small(&mut self, key: u128, value: &[u8]) -> Result<(), StateError> {
        match key {
            SITES => self.sites = Sites::decode(value)?,
            WATERMARK => self.now.watermark = Watermark::decode(value)?,
            FATES => self.now.fates = Fates::decode(value)?,
            DEDUP => self.dedup.restore_position(value)?,
            CLOSED => self.now.closed = Closed::decode(value)?,
            _ => return Err(StateError::impossible(format!("small state {key}, which this program does not know"))),
        }
        self.committed = self.now;
        Ok(())
    }

    fn restore_entry(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), StateError> {
        match section {
            SMALL if self.draft.restored.contains(&key) => {}
            SMALL => {
                self.restore_small(key, value)?;
                self.draft.restored.push(key);
            }
            IDENTITIES => {
                self.identities.entries.try_restore(key, || Entry::decode(value))?;
            }
            IDS => {
                let bucket = value.try_into().map(u32::from_be_bytes);
                let bucket = bucket.map_err(|_| StateError::impossible("an id whose bucket is not four bytes"))?;
                self.dedup.restore(key, bucket)?;
            }
            _ => return Err(StateError::impossible(format!("section {section}, which this program does not know"))),
        }
        Ok(())
    }
}

impl SnapshotState for IngestStage {
    fn track(&mut self) {
        self.identities.entries.track();
    }

    fn begin(&mut self) {
        self.draft.to_write.clear();
        for key in SMALL_KEYS {
            let mut value = Vec::new();
            self.encode_small(key, &mut value);
            self.draft.to_write.push((key, value));
        }
        self.draft.to_write.extend(self.now.closed.encode().map(|value| (CLOSED, value)));
        self.identities.entries.mark();
        self.dedup.mark();
    }

    fn write(&mut self, out: &mut Entries) -> bool {
        for (key, value) in self.draft.to_write.drain(..) {
            out.push(SMALL, key, |bytes| bytes.extend_from_slice(&value));
        }
        out.expire_below(IDS, self.dedup.oldest_at_mark());
        let identities = self.identities.entries.next_changed(|key, entry| {
            match entry {
                Some(entry) => out.push(IDENTITIES, key, |bytes| entry.encode(bytes)),
                None => out.push_gone(IDENTITIES, key),
            }
            !out.is_full()
        });
        identities
            && self.dedup.next_added(|id, bucket| {
                out.push(IDS, id, |bytes| bytes.extend_from_slice(&bucket.to_be_bytes()));
                !out.is_full()
            })
    }

    fn end(&mut self, kept: bool) {
        self.draft.to_write.clear();
        self.identities.entries.end_mark(kept);
        self.dedup.end_mark(kept);
    }

    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        let result = self.restore_entry(section, key, value);
        result.map_err(|error| RestoreError { section, key, detail: error.to_string() })
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        for key in SMALL_KEYS {
            if !self.draft.restored.contains(&key) {
                let detail = "every snapshot has this entry, and it is missing: a file was lost".to_owned();
                return Err(RestoreError { section: SMALL, key, detail });
            }
        }
        self.draft.restored = Vec::new();
        self.dedup.restored();
        Ok(())
    }

    fn about(&self) -> BTreeMap<String, String> {
        let watermark_ms = self.now.watermark.time_ms();
        [
            ("watermark_ms", watermark_ms.to_string()),
            ("watermark", text(watermark_ms)),
            ("identities", self.identities.len().to_string()),
            ("event_ids", self.dedup.live().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
