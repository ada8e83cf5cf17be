//! Chunks, offsets and topics in a log-structured store.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use parking_lot::Mutex;

use super::EmbeddedSync;
use super::directory::DirectoryLock;
use super::format::{
    Cut, FORMAT_KEY, FORMAT_VERSION, OFFSET, SEQUENCE, TOPIC, chunk_from, chunk_key, chunk_value, offset_from,
    offset_key, offset_value, seal, seals_from, seals_value, sequence_key, start_key, topic_from, topic_key,
    topic_value,
};
use super::identity;
use super::space::Space;
use super::witness::Witness;
use crate::local::PartitionImage;
use crate::local::store::{AtomicWrite, Image, OffsetWrite, PartitionRef, PlacedChunk, Purpose, Store, StoredTopic};
use crate::{Result, TopicSpec, TransportError};

/// Numbers of the last writes that are kept as a chain. More than what the store can hold unflushed, for only the journal can lose
/// writes unnoticed.
const KEPT_SEQUENCES: u64 = 65_536;
/// The witness is synced after this many writes: what it can lag after a power loss.
const WITNESS_SYNC_EVERY: u64 = 256;
const MEMTABLE_BYTES: u64 = 16 << 20;
const BLOCK_CACHE_BYTES: u64 = 16 << 20;
const JOURNAL_BYTES: u64 = 128 << 20;
/// At most so many chunks are removed in one batch of a trim.
const TRIM_CHUNKS: usize = 4_096;

/// The embedded log's storage, on `fjall`.
pub struct FjallStore {
    log: Keyspace,
    database: Database,
    witness: Witness,
    /// Number of the last write. Held while one is on its way.
    sequence: Mutex<u64>,
    mode: PersistMode,
    sync: EmbeddedSync,
    space: Space,
    /// What tells this log from another one in the same directory.
    identity: String,
    // Last, so that the directory is let go of when all else is closed.
    _lock: DirectoryLock,
}

impl std::fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStore").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

fn damaged(what: impl std::fmt::Display) -> TransportError {
    TransportError::Damaged(what.to_string())
}

/// What the store says while it opens or reads: anything that is not the machine refusing is damage.
fn store_error(during: &str, error: &fjall::Error) -> TransportError {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        fjall::Error::Locked => TransportError::Other(format!("{during}: another process holds the data directory")),
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e))
            if matches!(e.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull) =>
        {
            TransportError::Unavailable(format!("{during}: {e}"))
        }
        other => damaged(format!("{during}: {other}; restore the data directory from a copy")),
    }
}

impl FjallStore {
    /// Opens or creates the store, checks that nothing acknowledged is missing, and reads all but the records.
    pub(crate) fn open(directory: &Path, sync: EmbeddedSync, min_free_bytes: u64) -> Result<(Self, Image)> {
        let lock = DirectoryLock::take(directory)?;
        let (witness, vouched) = Witness::open(&directory.join("witness"))
            .map_err(|e| TransportError::Other(format!("witness file in {}: {e}", directory.display())))?;
        let (database, log) = open_database(&directory.join("db"))?;
        let mode = match sync {
            // The journal is written through one descriptor; its length is metadata that fdatasync carries along.
            EmbeddedSync::EveryCommit => PersistMode::SyncData,
            EmbeddedSync::Never => PersistMode::Buffer,
        };
        let space = Space::new(directory, min_free_bytes);
        let (sequence, identity) = (Mutex::new(0), String::new());
        let mut store = Self { log, database, witness, sequence, mode, sync, space, identity, _lock: lock };
        store.check_format(directory, vouched)?;
        store.identity = identity::read(directory)?;
        let seals = store.check_sequences(vouched)?;
        let image = store.load(&seals)?;
        Ok((store, image))
    }

    fn check_format(&self, directory: &Path, vouched: u64) -> Result<()> {
        let reading = |e: &fjall::Error| store_error("reading the format version", e);
        match self.log.get(FORMAT_KEY).map_err(|e| reading(&e))? {
            Some(value) => match Cut(&value).u32() {
                Some(FORMAT_VERSION) => Ok(()),
                found => Err(TransportError::Other(format!(
                    "the data directory has format {found:?}, this program reads {FORMAT_VERSION}"
                ))),
            },
            None if vouched > 0 => Err(damaged(format!(
                "the store is empty, but {vouched} writes were acknowledged; restore it from a copy"
            ))),
            None => {
                identity::make(directory)?;
                let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&self.log, FORMAT_KEY, FORMAT_VERSION.to_le_bytes());
                batch.commit().map_err(|e| store_error("beginning the log", &e))
            }
        }
    }

    /// Writes are numbered from 1 on; the last ones must all be there, up to what was acknowledged. Returns the newest seal of
    /// every offset that they wrote.
    fn check_sequences(&self, vouched: u64) -> Result<HashMap<u64, u64>> {
        let mut seals = HashMap::new();
        let mut last: Option<u64> = None;
        let mut count = 0u64;
        for guard in self.log.prefix([SEQUENCE]) {
            let (key, value) =
                guard.into_inner().map_err(|e| store_error("reading the numbers of the last writes", &e))?;
            seals.extend(seals_from(&value));
            let number = key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
            let number = number.ok_or_else(|| damaged("the number of a write is malformed"))?;
            if let Some(last) = last
                && number != last + 1
            {
                return Err(damaged(format!("write {} is missing, write {number} is there", last + 1)));
            }
            last = Some(number);
            count += 1;
        }
        let last = last.unwrap_or(0);
        if count != last.min(KEPT_SEQUENCES) {
            return Err(damaged(format!("of the last writes up to {last} only {count} are left")));
        }
        if last < vouched {
            return Err(damaged(format!(
                "the journal ends with write {last}, but write {vouched} was acknowledged; restore the data directory from a copy"
            )));
        }
        *self.sequence.lock() = last;
        Ok(seals)
    }

    /// Writes a batch as the next numbered write: atomic, and synced when this returns.
    fn commit(&self, during: &str, seals: &[(u64, u64)], fill: impl FnOnce(&mut fjall::OwnedWriteBatch)) -> Result<()> {
        let mut last = self.sequence.lock();
        let sequence = *last + 1;
        let mut batch = self.database.batch().durability(Some(self.mode));
        batch.insert(&self.log, sequence_key(sequence), seals_value(seals));
        if let Some(old) = sequence.checked_sub(KEPT_SEQUENCES).filter(|&old| old > 0) {
            batch.remove(&self.log, sequence_key(old));
        }
        fill(&mut batch);
        batch.commit().map_err(|e| store_error(during, &e))?;
        *last = sequence;
        // A witness that cannot be written says less; what it would vouch for is durable all the same.
        let noted = self.witness.note(sequence).and_then(|()| {
            let sync = self.sync == EmbeddedSync::EveryCommit && sequence.is_multiple_of(WITNESS_SYNC_EVERY);
            if sync { self.witness.sync() } else { Ok(()) }
        });
        if let Err(error) = noted {
            tracing::warn!(%error, sequence, "the log's witness file cannot be written");
        }
        Ok(())
    }

    fn load(&self, seals: &HashMap<u64, u64>) -> Result<Image> {
        let mut image = Image::default();
        let mut by_id: BTreeMap<u32, TopicSpec> = BTreeMap::new();
        for guard in self.log.prefix([TOPIC]) {
            let (key, value) = guard.into_inner().map_err(|e| store_error("reading the topics", &e))?;
            let (id, spec) = topic_from(&key, &value).ok_or_else(|| damaged("a topic's description is malformed"))?;
            by_id.insert(id, spec);
        }
        for (id, spec) in by_id {
            let partitions = (0..spec.partitions)
                .map(|partition| self.load_partition(PartitionRef { topic_id: id, topic: &spec.name, partition }))
                .collect::<Result<Vec<_>>>()?;
            image.topics.push(StoredTopic { id, spec, partitions });
        }
        for guard in self.log.prefix([OFFSET]) {
            let (key, value) = guard.into_inner().map_err(|e| store_error("reading the committed offsets", &e))?;
            let (key_hash, value_hash) = seal(&key, &value);
            let sealed = seals.get(&key_hash).is_none_or(|newest| *newest == value_hash);
            let offset = offset_from(&key, &value).filter(|_| sealed);
            let (group, topic_id, partition, committed) =
                offset.ok_or_else(|| damaged("a committed offset is not the one written last"))?;
            image.offsets.push(OffsetWrite { group, topic_id, partition, committed });
        }
        Ok(image)
    }

    fn load_partition(&self, at: PartitionRef<'_>) -> Result<PartitionImage> {
        let during = format!("opening {}[{}]", at.topic, at.partition);
        let start = self.log.get(start_key(at.topic_id, at.partition)).map_err(|e| store_error(&during, &e))?;
        let earliest = match start {
            Some(value) => Cut(&value).u64().ok_or_else(|| damaged(format!("{during}: the start is malformed")))?,
            None => 0,
        };
        let newest = self.chunk_before(at, u64::MAX)?;
        let record_end = newest.as_ref().map_or(earliest, |placed| placed.base + u64::from(placed.chunk.count));
        Ok(PartitionImage {
            earliest,
            next_offset: newest.as_ref().map_or(earliest, |placed| record_end + u64::from(placed.gap)).max(earliest),
            record_end: record_end.max(earliest),
            last_base: newest.map(|placed| placed.base),
        })
    }

    /// The last chunk that begins at or before `offset`.
    fn chunk_before(&self, at: PartitionRef<'_>, offset: u64) -> Result<Option<PlacedChunk>> {
        let (from, to) = (chunk_key(at.topic_id, at.partition, 0), chunk_key(at.topic_id, at.partition, offset));
        let Some(guard) = self.log.range(from..=to).next_back() else { return Ok(None) };
        self.chunk_of(at, guard).map(Some)
    }

    fn chunk_of(&self, at: PartitionRef<'_>, guard: fjall::Guard) -> Result<PlacedChunk> {
        let during = || format!("reading {}[{}]", at.topic, at.partition);
        let (key, value) = guard.into_inner().map_err(|e| store_error(&during(), &e))?;
        let base = key.last_chunk::<8>().map(|base| u64::from_be_bytes(*base)).unwrap_or_default();
        chunk_from(at.topic_id, at.partition, base, &value)
            .map_err(|why| damaged(format!("{}[{}]: chunk at offset {base}: {why}", at.topic, at.partition)))
    }
}

/// Opens the store. It panics on some damage (sizes that cannot be): that too is damage, not a crash of ours.
fn open_database(path: &Path) -> Result<(Database, Keyspace)> {
    let open = || -> fjall::Result<(Database, Keyspace)> {
        let database = Database::builder(path)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()?;
        // Chunks are large and never change: kept apart from their keys, compaction does not copy them again and again.
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .with_kv_separation(Some(KvSeparationOptions::default()))
        };
        let log = database.keyspace("log", options)?;
        Ok((database, log))
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|e| store_error("opening the store", &e)),
        Err(_) => Err(damaged("the store cannot make sense of its files; restore the data directory from a copy")),
    }
}

impl Store for FjallStore {
    const CACHE_BYTES: usize = 512 << 10;

    fn log_id(&self) -> &str {
        &self.identity
    }

    fn check_room(&self, bytes: usize, purpose: Purpose) -> Result<()> {
        self.space.check(bytes, purpose)
    }

    fn put_topic(&self, id: u32, spec: &TopicSpec) -> Result<()> {
        self.commit("writing a topic", &[], |batch| {
            batch.insert(&self.log, topic_key(&spec.name), topic_value(id, spec));
        })
    }

    fn write(&self, write: &AtomicWrite) -> Result<()> {
        let offset = |offset: &OffsetWrite| {
            (offset_key(offset.topic_id, offset.partition, &offset.group), offset_value(&offset.committed))
        };
        let offsets: Vec<(Vec<u8>, Vec<u8>)> = write.offsets.iter().map(offset).collect();
        let seals: Vec<(u64, u64)> = offsets.iter().map(|(key, value)| seal(key, value)).collect();
        self.commit("writing", &seals, |batch| {
            for placed in &write.chunks {
                batch.insert(&self.log, chunk_key(placed.topic_id, placed.partition, placed.base), chunk_value(placed));
            }
            for (key, value) in offsets {
                batch.insert(&self.log, key, value);
            }
        })
    }

    fn read(&self, at: PartitionRef<'_>, offset: u64, earliest: u64, max_bytes: usize) -> Result<Vec<PlacedChunk>> {
        let mut chunks: Vec<PlacedChunk> = Vec::new();
        let mut bytes = 0;
        let mut before = self.chunk_before(at, offset)?;
        if let Some(placed) = before.take_if(|placed| placed.base + u64::from(placed.chunk.count) > offset) {
            bytes += placed.chunk.bytes.len();
            chunks.push(placed);
        }
        let mut previous = chunks.last().or(before.as_ref()).map(|placed| placed.base);
        let next = previous.map_or(0, |base| base + 1);
        let range = chunk_key(at.topic_id, at.partition, next)..=chunk_key(at.topic_id, at.partition, u64::MAX);
        for guard in self.log.range(range) {
            if bytes >= max_bytes {
                break;
            }
            let placed = self.chunk_of(at, guard)?;
            // What comes before may be gone only where retention has dropped it.
            if placed.previous_base != previous && placed.previous_base.is_some_and(|base| base >= earliest) {
                let missing = placed.previous_base.unwrap_or_default();
                return Err(damaged(format!(
                    "{}[{}]: the chunk at offset {missing} is missing; the next one at {} is there",
                    at.topic, at.partition, placed.base
                )));
            }
            previous = Some(placed.base);
            bytes += placed.chunk.bytes.len();
            chunks.push(placed);
        }
        Ok(chunks)
    }

    fn trim(&self, at: PartitionRef<'_>, earliest: u64, before_ms: i64, stable_end: u64) -> Result<Option<u64>> {
        let range = chunk_key(at.topic_id, at.partition, 0)..=chunk_key(at.topic_id, at.partition, u64::MAX);
        let mut old = Vec::new();
        let mut start = earliest;
        for guard in self.log.range(range).take(TRIM_CHUNKS) {
            let placed = self.chunk_of(at, guard)?;
            let end = placed.base + u64::from(placed.chunk.count) + u64::from(placed.gap);
            if placed.chunk.max_timestamp_ms >= before_ms || end > stable_end {
                break;
            }
            old.push(chunk_key(at.topic_id, at.partition, placed.base));
            start = end;
        }
        if start > earliest {
            self.commit("dropping old records", &[], |batch| {
                for key in old {
                    batch.remove(&self.log, key);
                }
                batch.insert(&self.log, start_key(at.topic_id, at.partition), start.to_le_bytes());
            })?;
        }
        Ok(Some(start))
    }
}
