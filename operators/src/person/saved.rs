//! What an epoch keeps of a person that it touches.

use std::sync::Arc;

use super::state::Person;
use super::warm::counters_warmed;
use crate::core::undo_map::Keep;
use crate::sessions::Session;

/// Keeps people by value.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepPerson;

/// A person as it was.
#[derive(Debug)]
pub struct SavedPerson {
    /// Shares its sessions with the living person; only `latest` is missing.
    person: Person,
    /// The latest session of a person with one source (nearly everybody), which nearly every event changes. Here it is a value of its
    /// own, so that the living one stays unshared and is changed in place, and the copy costs no allocation.
    latest: Option<Session>,
}

impl Keep<Box<Person>> for KeepPerson {
    type Saved = SavedPerson;

    fn save(value: &Box<Person>) -> SavedPerson {
        let mut person = Person::clone(value);
        let latest = match person.sources.as_mut_slice() {
            [source] => source.sessions.list.pop().map(|latest| Session::clone(&latest)),
            _ => None,
        };
        SavedPerson { person, latest }
    }

    fn restore(saved: SavedPerson) -> Box<Person> {
        let SavedPerson { mut person, latest } = saved;
        if let (Some(latest), [source]) = (latest, person.sources.as_mut_slice()) {
            source.sessions.list.push(Arc::new(latest));
        }
        Box::new(person)
    }

    fn warm<K>(saved: &[(K, Option<SavedPerson>)]) {
        for (_, saved) in saved {
            if let Some(session) = saved.as_ref().and_then(|saved| saved.latest.as_ref()) {
                counters_warmed(session);
            }
        }
    }
}
