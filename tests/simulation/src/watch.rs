//! Reads along what is committed, keeps it, and checks each record against all before it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use millstream_schemas::{RecordSchema, Value, by_id, frame, visit};
use millstream_transports::memory::MemoryLog;
use xxhash_rust::xxh3::xxh3_128;

use crate::committed::{Committed, read_from};
use crate::plan::Plan;
use crate::topology::all_partitions;

/// What was committed so far.
pub struct Watch {
    records: BTreeMap<(&'static str, u32), Vec<Committed>>,
    /// Where reading goes on.
    next: BTreeMap<(&'static str, u32), u64>,
    /// Revisions by key; of keys that have one only, that one.
    revisions: HashMap<u128, HashSet<i64>>,
    idempotency_keys: HashSet<u128>,
}

impl Watch {
    /// Nothing yet.
    pub fn new(plan: &Plan) -> Self {
        Self {
            records: all_partitions(plan).into_iter().map(|place| (place, Vec::new())).collect(),
            next: BTreeMap::new(),
            revisions: HashMap::new(),
            idempotency_keys: HashSet::new(),
        }
    }

    /// The records of a partition.
    pub fn partition(&self, topic: &'static str, partition: u32) -> &[Committed] {
        self.records.get(&(topic, partition)).map_or(&[], Vec::as_slice)
    }

    /// The records of a topic, partition after partition.
    pub fn topic(&self, topic: &'static str) -> impl Iterator<Item = (u32, &Committed)> {
        let of_topic = self.records.iter().filter(move |((name, _), _)| *name == topic);
        of_topic.flat_map(|((_, partition), records)| records.iter().map(|record| (*partition, record)))
    }

    /// The topics.
    pub fn topics(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.records.keys().copied()
    }

    /// Takes in what is new.
    ///
    /// # Errors
    /// What should not be there.
    pub fn look(&mut self, log: &MemoryLog) -> Result<(), String> {
        let places: Vec<(&'static str, u32)> = self.topics().collect();
        for (topic, partition) in places {
            let next = self.next.get(&(topic, partition)).copied().unwrap_or_default();
            let new = read_from(log, topic, partition, next).map_err(|error| error.to_string())?;
            for record in &new {
                self.check(topic, record)
                    .map_err(|why| format!("{topic}[{partition}], offset {}: {why}", record.offset))?;
            }
            if let Some(last) = new.last() {
                self.next.insert((topic, partition), last.offset + 1);
            }
            self.records.entry((topic, partition)).or_default().extend(new);
        }
        Ok(())
    }

    fn check(&mut self, topic: &str, record: &Committed) -> Result<(), String> {
        if record.value.is_empty() {
            return Ok(());
        }
        let (id, body) = frame::split(&record.value).map_err(|error| error.to_string())?;
        let Some(schema) = by_id(id).filter(|schema| schema.table.is_some() && schema.topic == topic) else {
            return Ok(());
        };
        let identity = Identity::of(schema, body)?;
        let revisions = self.revisions.entry(identity.key_hash).or_default();
        let repeated = if schema.append_only { !revisions.is_empty() } else { revisions.contains(&identity.revision) };
        if repeated {
            return Err(format!("{} {} is there twice (revision {})", schema.name, identity.key, identity.revision));
        }
        revisions.insert(identity.revision);
        if let Some(key) = identity.idempotency_key
            && !self.idempotency_keys.insert(key)
        {
            return Err(format!("{} {}: the idempotency key {key:032x} is there twice", schema.name, identity.key));
        }
        Ok(())
    }
}

/// What must be unique about a record.
struct Identity {
    key: String,
    key_hash: u128,
    revision: i64,
    idempotency_key: Option<u128>,
}

impl Identity {
    fn of(schema: &'static RecordSchema, body: &[u8]) -> Result<Self, String> {
        let mut key = String::new();
        let (mut revision, mut idempotency_key) = (0, None);
        visit(schema, body, &mut |field, value| {
            match (field.name, &value) {
                ("revision", Value::Long(number)) => revision = *number,
                ("idempotency_key", Value::Id(id)) => idempotency_key = Some(id.0),
                _ => {}
            }
            if schema.key.contains(&field.name) {
                // Writing to a string cannot fail.
                let _written = write!(key, "{value:?};");
            }
        })
        .map_err(|error| error.to_string())?;
        let key_hash = xxh3_128(format!("{}/{key}", schema.name).as_bytes());
        Ok(Self { key, key_hash, revision, idempotency_key })
    }
}
