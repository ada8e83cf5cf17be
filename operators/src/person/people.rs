//! Everybody of one partition: keyed entries, their timers, and what waits for hand-overs.

use std::sync::Arc;

use millstream_schemas::Id;
use millstream_scoring::Scorer;

use super::saved::KeepPerson;
use super::state::{Person, Source, UNARMED};
use crate::core::{Timers, UndoMap};
use crate::propensity::History;
use crate::sessions::Owner;
use crate::site::Sites;
use crate::visits::Visits;

/// What the people's operators may look at besides the record and their own state.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The shops' settings.
    pub sites: &'a Sites,
    /// Who scores.
    pub scorer: &'a dyn Scorer,
}

/// Site names remembered to be shared; more cost an allocation each.
const NAMES_MAX: usize = 256;

/// Everybody of one partition. One lookup an event.
#[derive(Debug, Default)]
pub struct People {
    pub(super) entries: UndoMap<u128, Box<Person>, KeepPerson>,
    pub(super) timers: Timers,
    /// Bytes waiting for hand-overs, now and as of the last commit.
    pub(super) held_bytes: usize,
    held_bytes_committed: usize,
    pub(super) names: Vec<Arc<str>>,
}

impl People {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// One entry.
    pub fn get(&self, person: Id) -> Option<&Person> {
        self.entries.get(person.0).map(|entry| &**entry)
    }

    /// Number of persons held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the records that wait for hand-overs.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Number of entries saved for undo.
    pub fn saved_len(&self) -> usize {
        self.entries.saved_len()
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.entries.commit();
        self.timers.commit();
        self.held_bytes_committed = self.held_bytes;
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        self.entries.undo();
        self.timers.undo();
        self.held_bytes = self.held_bytes_committed;
    }

    /// The entry of a person, made where there is none.
    pub(super) fn person(&mut self, id: Id, site: &str) -> &mut Box<Person> {
        let names = &mut self.names;
        self.entries.get_or_insert_with(id.0, || Box::new(Person::new(name(names, site))))
    }

    /// Itemised bytes of the given persons' state, for budgets and metrics. (The map cannot be iterated, because its order would
    /// differ from run to run; whoever asks knows whom.)
    pub fn memory_use(&self, persons: impl IntoIterator<Item = Id>) -> MemoryUse {
        let mut used = MemoryUse { timers: self.timers.bytes(), ..MemoryUse::default() };
        for person in persons {
            let Some(entry) = self.get(person) else { continue };
            used.persons += 1;
            // Key, epoch, pointer and control byte, at the map's mean load of two thirds; the entry behind the pointer.
            used.entries += (16 + 8 + 8 + 1) * 3 / 2 + 8 + size_of::<Person>();
            used.entries += entry.user_id.as_ref().map_or(0, |user| 16 + user.len());
            if entry.sources.spilled() {
                used.entries += entry.sources.capacity() * size_of::<Source>();
            }
            for source in &entry.sources {
                let (sessions, purchases, held) = source.bytes();
                // It lies within the source, which is counted above.
                used.entries -= size_of::<Visits>();
                used.visits += size_of::<Visits>();
                used.sessions += sessions;
                used.purchases += purchases;
                used.held += held;
                used.touches += source.touches.bytes();
            }
            if let Some(trade) = &entry.trade {
                let (orders, scores) = trade.bytes();
                used.orders += orders;
                used.scores += scores;
            }
        }
        used
    }
}

/// The name of a site, shared.
pub(super) fn name(names: &mut Vec<Arc<str>>, site: &str) -> Arc<str> {
    if let Some(name) = names.iter().find(|name| &***name == site) {
        return name.clone();
    }
    let name: Arc<str> = Arc::from(site);
    if names.len() < NAMES_MAX {
        names.push(name.clone());
    }
    name
}

/// Bytes held, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Persons counted.
    pub persons: usize,
    /// Keyed entries and sources.
    pub entries: usize,
    /// Sessions that can still be amended, with their texts.
    pub sessions: usize,
    /// What is left of those that cannot.
    pub visits: usize,
    /// Touches of those, and offline touches.
    pub touches: usize,
    /// Orders and refunds of customers.
    pub orders: usize,
    /// What was last told of customers' churn and value.
    pub scores: usize,
    /// Orders that follow their source.
    pub purchases: usize,
    /// Records that wait for hand-overs.
    pub held: usize,
    /// Timers.
    pub timers: usize,
}

impl MemoryUse {
    /// All of it.
    pub fn total(&self) -> usize {
        let people = self.entries + self.sessions + self.visits + self.touches + self.held;
        people + self.orders + self.scores + self.purchases + self.timers
    }
}

/// Who the sessions of `source` belong to.
pub(super) fn owner<'a>(id: Id, person: &'a Person, source: &Source, history: &'a History) -> Owner<'a> {
    Owner {
        site: &person.site,
        source: source.id,
        person: id,
        user_id: person.user_id.as_deref(),
        hand_overs: source.hand_overs,
        history: Some(history),
    }
}

/// Makes sure that a timer fires for `person` at `due_ms` at the latest.
pub(super) fn arm(timers: &mut Timers, id: u128, person: &mut Person, due_ms: i64) {
    if due_ms < person.armed_ms {
        timers.add(due_ms, id);
        // Of more than three, the last but one is forgotten here and fires for nothing.
        if person.armed_last_ms == UNARMED {
            person.armed_last_ms = person.armed_later_ms;
        }
        person.armed_later_ms = person.armed_ms;
        person.armed_ms = due_ms;
    }
}
