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

#[cfg(test)]
mod tests {
    use millstream_schemas::{Event, Id};
    use proptest::prelude::*;

    use crate::core::Context;
    use crate::person::{Env, Incoming, People};
    use crate::site::Sites;
    use crate::testing::{PERSON, Recorder, Told, Witness, events};

    fn apply(people: &mut People, told: &[(Told, bool)]) {
        let (sites, mut sink) = (Sites::new(), Recorder::default());
        let env = Env { sites: &sites, scorer: &Witness };
        for (told, second) in told {
            let event = told.event();
            let event = Event { source: event.source.map(|source| Id(source.0 + u128::from(*second))), ..event };
            let cx = Context {
                offset: 1,
                watermark_ms: i64::MIN,
                settled_ms: i64::MIN,
                event_time_ms: event.event_time,
                source_event: event.event_id,
            };
            people.on_event(Incoming { record: &event, body: &[] }, env, &cx, &mut sink);
        }
    }

    /// Everything there is of the person, sessions and texts included.
    fn all(people: &People) -> String {
        format!("{:?}", people.get(PERSON))
    }

    proptest! {
        #[test]
        fn an_undone_epoch_leaves_people_as_they_were(
            told in events(30), seconds in prop::collection::vec(prop::bool::weighted(0.2), 30), cuts in (0..30usize, 0..30usize),
        ) {
            let told: Vec<(Told, bool)> = told.into_iter().zip(seconds).collect();
            let (before, undone) = (cuts.0.min(told.len()), cuts.1.max(cuts.0).min(told.len()));
            let mut people = People::new();
            apply(&mut people, &told[..before]);
            people.commit();
            let committed = all(&people);
            // Twice, because what was restored must be kept and restored again.
            for _ in 0..2 {
                apply(&mut people, &told[before..undone]);
                people.undo();
                prop_assert_eq!(&all(&people), &committed);
            }
            let mut undisturbed = People::new();
            apply(&mut undisturbed, &told[..before]);
            undisturbed.commit();
            apply(&mut people, &told[before..]);
            apply(&mut undisturbed, &told[before..]);
            prop_assert_eq!(all(&people), all(&undisturbed));
        }
    }
}
