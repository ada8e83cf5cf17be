//! What a snapshot keeps of people: all of it, so that what is restored behaves as if it had never been away.
//!
//! A value is one person: sources with their sessions, folded visits, touches, purchases and held records; what customers alone have;
//! and the due times of the timers set. Timers themselves are not stored, they follow from those. Nor are the held bytes of the task.

use std::sync::Arc;

use millstream_schemas::Id;
use smallvec::SmallVec;

use super::codec::{read_purchases, write_purchases};
use super::people::{People, name};
use super::state::{Held, HeldKind, Hold, Person, Source, UNARMED};
use super::trade::Trade;
use crate::attribution::Touches;
use crate::buyer::Buyer;
use crate::core::encoding::{AS_MANY_AS_THERE_ARE, write, write_id, write_list};
use crate::core::limits::{EVENTS_PER_SOURCE, SESSIONS_PER_SOURCE, SOURCES_PER_PERSON};
use crate::core::{StateError, StateReader};
use crate::sessions::codec::{read_session, write_sessions};
use crate::visits::Visits;
use crate::{churn, clv};

/// Version of a person's encoding.
pub const VERSION: u8 = 1;

/// What a person has.
mod has {
    pub const USER: i64 = 1;
    pub const TRADE: i64 = 2;
    pub const ARMED: i64 = 4;
    pub const ARMED_LATER: i64 = 8;
    pub const ARMED_LAST: i64 = 16;
    pub const ALL: i64 = 31;
}

/// What a source has.
mod keeps {
    pub const SESSIONS: i64 = 1;
    pub const SINGLE: i64 = 2;
    pub const VISITS: i64 = 4;
    pub const TOUCHES: i64 = 8;
    pub const PURCHASES: i64 = 16;
    pub const HOLD: i64 = 32;
    pub const ALL: i64 = 63;
}

/// The flags that are set.
fn flags<const N: usize>(all: [(bool, i64); N]) -> i64 {
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum()
}

impl Person {
    /// Appends all that is kept of the person.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let armed = [
            (self.armed_ms, has::ARMED),
            (self.armed_later_ms, has::ARMED_LATER),
            (self.armed_last_ms, has::ARMED_LAST),
        ];
        let timers = flags(armed.map(|(due_ms, flag)| (due_ms != UNARMED, flag)));
        let parts = flags([(self.user_id.is_some(), has::USER), (self.trade.is_some(), has::TRADE)]);
        write::long(out, timers | parts);
        write::str(out, &self.site);
        if let Some(user_id) = &self.user_id {
            write::str(out, user_id);
        }
        for (due_ms, _) in armed.into_iter().filter(|(due_ms, _)| *due_ms != UNARMED) {
            write::long(out, due_ms);
        }
        write_list(out, &self.sources, write_source);
        if let Some(trade) = &self.trade {
            write_trade(out, trade);
        }
    }

    /// Reads what [`Person::encode`] wrote, in this version of it or an older one. `name` shares names of sites.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8], name: impl FnOnce(&str) -> Arc<str>) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let reader = &mut reader;
        let flags = reader.flags(has::ALL)?;
        let mut person = Self::new(name(reader.str()?));
        if flags & has::USER != 0 {
            person.user_id = Some(Arc::from(reader.str()?));
        }
        for (due_ms, flag) in [
            (&mut person.armed_ms, has::ARMED),
            (&mut person.armed_later_ms, has::ARMED_LATER),
            (&mut person.armed_last_ms, has::ARMED_LAST),
        ] {
            if flags & flag != 0 {
                *due_ms = reader.long()?;
            }
        }
        person.sources = read_sources(reader)?;
        if flags & has::TRADE != 0 {
            person.trade = Some(Arc::new(read_trade(reader)?));
        }
        reader.finish()?;
        Ok(person)
    }
}

fn read_sources(reader: &mut StateReader<'_>) -> Result<SmallVec<[Source; 1]>, StateError> {
    let mut sources = SmallVec::new();
    let count = reader.count("sources", SOURCES_PER_PERSON)?;
    if count > 1 {
        sources.reserve_exact(count);
    }
    for _ in 0..count {
        sources.push(read_source(reader)?);
    }
    Ok(sources)
}

fn write_source(out: &mut Vec<u8>, source: &Source) {
    let sessions = &source.sessions;
    write_id(out, source.id);
    write::long(
        out,
        flags([
            (!sessions.list.is_empty(), keeps::SESSIONS),
            (sessions.single.is_some(), keeps::SINGLE),
            (!source.visits.is_empty(), keeps::VISITS),
            (!source.touches.is_empty(), keeps::TOUCHES),
            (source.purchases.is_some(), keeps::PURCHASES),
            (source.hold.is_some(), keeps::HOLD),
        ]),
    );
    write::long(out, i64::from(source.hand_overs));
    if !sessions.list.is_empty() {
        write_sessions(out, &sessions.list);
    }
    if let Some(single) = &sessions.single {
        write_sessions(out, single.iter());
    }
    if !source.visits.is_empty() {
        source.visits.encode(out);
    }
    if !source.touches.is_empty() {
        write::bytes(out, source.touches.as_bytes());
    }
    if source.purchases.is_some() {
        write_purchases(out, source);
    }
    if let Some(hold) = &source.hold {
        write_list(out, &hold.queue, |out, held| {
            write::bool(out, held.kind == HeldKind::SourceMoved);
            write::bytes(out, &held.body);
        });
    }
}

fn read_source(reader: &mut StateReader<'_>) -> Result<Source, StateError> {
    let mut source = Source::new(reader.id()?);
    let flags = reader.flags(keeps::ALL)?;
    source.hand_overs = reader.small()?;
    if flags & keeps::SESSIONS != 0 {
        for _ in 0..reader.count("sessions", SESSIONS_PER_SOURCE)? {
            source.sessions.list.push(Arc::new(read_session(reader)?));
        }
    }
    if flags & keeps::SINGLE != 0 {
        let single = reader.list("single events", EVENTS_PER_SOURCE, |reader| Ok(Arc::new(read_session(reader)?)))?;
        source.sessions.single = Some(Box::new(single));
    }
    if flags & keeps::VISITS != 0 {
        source.visits = Visits::decode(reader)?;
    }
    if flags & keeps::TOUCHES != 0 {
        source.touches = Touches::from_bytes(reader.bytes()?)?;
    }
    if flags & keeps::PURCHASES != 0 {
        source.purchases = read_purchases(reader)?;
    }
    if flags & keeps::HOLD != 0 {
        // Markers are never refused, so that only the bytes bound them.
        let queue = reader.list("held records", AS_MANY_AS_THERE_ARE, |reader| {
            let kind = if reader.bool()? { HeldKind::SourceMoved } else { HeldKind::Event };
            Ok(Held { kind, body: Arc::from(reader.bytes()?) })
        })?;
        let bytes = queue.iter().map(|held| held.body.len()).sum();
        source.hold = Some(Box::new(Hold { queue, bytes }));
    }
    Ok(source)
}

fn write_trade(out: &mut Vec<u8>, trade: &Trade) {
    trade.buyer.encode(out);
    write::bytes(out, trade.named.as_bytes());
    write::optional(out, trade.churn.as_ref(), |out, told| told.encode(out));
    write::optional(out, trade.clv.as_ref(), |out, told| told.encode(out));
}

fn read_trade(reader: &mut StateReader<'_>) -> Result<Trade, StateError> {
    Ok(Trade {
        buyer: Buyer::decode(reader)?,
        named: Touches::from_bytes(reader.bytes()?)?,
        churn: reader.optional(churn::Emitted::decode)?,
        clv: reader.optional(clv::Emitted::decode)?,
    })
}

impl People {
    /// From now on what changes is noted, for snapshots; before anybody is here.
    pub fn track(&mut self) {
        self.entries.track();
    }

    /// The people as they are now are what the next snapshot holds. Between epochs.
    pub fn mark(&mut self) {
        self.entries.mark();
    }

    /// Calls `write` with people that differ from those of the mark before, as they were at this mark; `None` for one who was not
    /// there. Stops when `write` says that it is enough; true when that was all. Of one who comes more than once, the first counts.
    pub fn next_changed(&mut self, mut write: impl FnMut(u128, Option<&Person>) -> bool) -> bool {
        self.entries.next_changed(|id, person| write(id, person.map(|person| &**person)))
    }

    /// What was written since the mark is kept, or belongs to the next one.
    pub fn end_mark(&mut self, kept: bool) {
        self.entries.end_mark(kept);
    }

    /// Takes a person of a snapshot in, with timers, unless the person is here already.
    ///
    /// # Errors
    /// As [`Person::decode`].
    pub fn restore(&mut self, id: Id, value: &[u8]) -> Result<(), StateError> {
        let Self { entries, timers, held_bytes, names, .. } = self;
        entries.try_restore(id.0, || {
            let person = Box::new(Person::decode(value, |site| name(names, site))?);
            for due_ms in [person.armed_ms, person.armed_later_ms, person.armed_last_ms] {
                if due_ms != UNARMED {
                    timers.restore(due_ms, id.0);
                }
            }
            let holds = person.sources.iter().filter_map(|source| source.hold.as_ref());
            *held_bytes += holds.map(|hold| hold.bytes).sum::<usize>();
            Ok(person)
        })?;
        Ok(())
    }

    /// All people of a snapshot were taken in.
    pub fn restored(&mut self) {
        self.commit();
    }
}
