//! What a stage wants written, packed by partition as the log takes it, until the epoch commits.

use std::collections::BTreeMap;

use millstream_transports::{Append, Member, Packed, PackedMark, Result};

/// Room that a partition of which little is known begins with.
const LEAST_ROOM_BYTES: usize = 1_024;

/// A record's place. What its partition was like before it says where it lies, and how to take it back.
#[derive(Debug, Clone, Copy)]
struct Entry {
    lane: u32,
    pack: u32,
    before: PackedMark,
}

/// The records for one partition of one topic.
#[derive(Debug)]
struct Lane {
    topic: u16,
    partition: u32,
    packs: Vec<Packed>,
    /// What the last epoch that wrote here needed: the next one begins with as much room, instead of growing into it.
    usual_bytes: usize,
}

impl Lane {
    /// The pack that the next record goes to, and its number.
    fn open(&mut self) -> (u32, &mut Packed) {
        if self.packs.last().is_none_or(Packed::is_full) {
            self.packs.push(match self.packs.len() {
                0 => Packed::with_room((self.usual_bytes + self.usual_bytes / 4).max(LEAST_ROOM_BYTES)),
                _ => Packed::with_full_room(),
            });
        }
        let last = self.packs.len() - 1;
        // An epoch has a few packs of a megabyte.
        (last as u32, &mut self.packs[last])
    }
}

/// Records to be produced in the current epoch, in order. Bounded by the epoch's byte limit.
#[derive(Debug, Default)]
pub struct Outputs {
    /// One for each partition ever written to.
    lanes: Vec<Lane>,
    lane_of: BTreeMap<(u16, u32), u32>,
    entries: Vec<Entry>,
    size_bytes: usize,
}

/// A point to which [`Outputs::truncate`] can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    entries: usize,
    size_bytes: usize,
}

impl Outputs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record whose value `write` appends to the given buffer (typically `record.encode_framed`).
    /// `topic` indexes the stage's output topics.
    pub fn push(
        &mut self,
        topic: u16,
        partition: u32,
        timestamp_ms: i64,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let next = self.lanes.len() as u32;
        let number = *self.lane_of.entry((topic, partition)).or_insert_with(|| {
            self.lanes.push(Lane { topic, partition, packs: Vec::new(), usual_bytes: 0 });
            next
        });
        let (pack, packed) = self.lanes[number as usize].open();
        // Noted first, so that a record half written by a panic is taken back too.
        self.entries.push(Entry { lane: number, pack, before: packed.mark() });
        self.size_bytes += packed.push(timestamp_ms, key, write);
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Key and value bytes.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Where we are now.
    pub fn mark(&self) -> Mark {
        Mark { entries: self.entries.len(), size_bytes: self.size_bytes }
    }

    /// Drops everything added since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        // From the last to the first, so that each partition ends as it was before the first of its records.
        for entry in self.entries.drain(mark.entries.min(self.entries.len())..).rev() {
            let packs = &mut self.lanes[entry.lane as usize].packs;
            packs.truncate(entry.pack as usize + 1);
            if let Some(pack) = packs.last_mut() {
                pack.truncate(entry.before);
            }
        }
        self.size_bytes = mark.size_bytes;
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        for lane in &mut self.lanes {
            lane.packs.clear();
        }
        self.size_bytes = 0;
    }

    /// Hands everything over to the member's transaction, in order within each partition. Nothing is left here, also where the
    /// member refuses: the epoch is then undone.
    ///
    /// # Errors
    /// What the member answers.
    pub fn send(&mut self, member: &mut dyn Member) -> Result<()> {
        for lane in &mut self.lanes {
            if !lane.packs.is_empty() {
                lane.usual_bytes = lane.packs.iter().map(Packed::size_bytes).sum();
            }
        }
        let lanes = self.lanes.iter_mut();
        let mut packs = lanes.flat_map(|lane| {
            let (topic, partition) = (lane.topic, lane.partition);
            lane.packs.drain(..).map(move |pack| (topic, partition, pack))
        });
        let sent = packs.try_for_each(|(topic, partition, pack)| member.send_packed(topic, partition, pack));
        drop(packs);
        self.clear();
        sent
    }

    /// The hashes ([`millstream_transports::record_hash()`]) of the records added since `mark`, each with the number of its lane.
    pub(crate) fn hashes_since(&self, mark: Mark) -> impl Iterator<Item = (usize, u64)> {
        self.entries.get(mark.entries..).unwrap_or_default().iter().filter_map(|entry| {
            let pack = self.lanes[entry.lane as usize].packs.get(entry.pack as usize)?;
            Some((entry.lane as usize, pack.hash_at(entry.before)?))
        })
    }

    /// Topic and partition of a lane. Lanes stay as long as the worker does.
    pub(crate) fn lane(&self, number: usize) -> Option<(u16, u32)> {
        self.lanes.get(number).map(|lane| (lane.topic, lane.partition))
    }

    /// Whether a record for this topic was added since `mark`.
    pub fn wrote_since(&self, mark: Mark, topic: u16) -> bool {
        let added = self.entries.get(mark.entries..).unwrap_or_default();
        added.iter().any(|entry| self.lanes.get(entry.lane as usize).is_some_and(|lane| lane.topic == topic))
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Append<'_>> {
        self.entries.iter().filter_map(|entry| {
            let lane = &self.lanes[entry.lane as usize];
            let record = lane.packs.get(entry.pack as usize)?.at(entry.before)?;
            Some(Append {
                topic: lane.topic,
                partition: lane.partition,
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: record.value,
            })
        })
    }
}
