//! Sources and persons, by hand and against a naive oracle.

use std::collections::BTreeMap;

use millstream_ingest::identity::{person_of_source, person_of_user, source_of_device, source_of_user};
use millstream_ingest::{Fate, IngestStage};
use millstream_runtime::Outputs;
use millstream_schemas::Id;
use millstream_transports::partition_for;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::*;

fn of(id: &str, kind: &str, device: Option<&str>, user: Option<&str>) -> Vec<u8> {
    event(json!({"id": id, "type": kind, "device": device, "user": user}))
}

#[test]
fn the_ids_are_the_contract() {
    let source = source_of_device(SITE, "d", 0);
    assert_eq!(source, Id::of(&[b"shop", b"device", b"d", &[0, 0, 0, 0]]));
    assert_eq!(person_of_source(SITE, source), Id::of(&[b"shop", &source.0.to_be_bytes()]));
    assert_eq!(person_of_user(SITE, "u"), Id::of(&[b"shop", b"u"]));
    assert_eq!(source_of_user(SITE, "u"), Id::of(&[b"shop", b"user", b"u"]));
}

#[test]
fn identifying_moves_the_source_and_marks_both_persons_partitions() {
    let out = run(&[
        of("view", "page_view", Some("d"), None),
        of("login", "identify", Some("d"), Some("u")),
        of("next", "page_view", Some("d"), None),
    ]);
    let source = source_of_device(SITE, "d", 0);
    let (anonymous, known) = (person_of_source(SITE, source), person_of_user(SITE, "u"));
    let partition = |person: Id| partition_for(&person.0.to_be_bytes(), EVENTS_PARTITIONS);
    let told: Vec<_> = written(&out)
        .into_iter()
        .filter_map(|written| match written {
            Written::Event(at, event) => {
                Some((at, event.event_id.to_owned(), event.person, event.person_user_id.map(str::to_owned)))
            }
            Written::Moved(at, moved) => {
                assert_eq!((moved.source, moved.to_person, moved.user_id), (source, known, Some("u")));
                Some((at, format!("moved by {}", moved.source_event), Some(moved.from_person), None))
            }
            _ => None,
        })
        .collect();
    let user = Some("u".to_owned());
    assert_eq!(
        told,
        [
            (partition(anonymous), "view".to_owned(), Some(anonymous), None),
            (partition(anonymous), "moved by login".to_owned(), Some(anonymous), None),
            (partition(known), "moved by login".to_owned(), Some(anonymous), None),
            (partition(known), "login".to_owned(), Some(known), user.clone()),
            (partition(known), "next".to_owned(), Some(known), user),
        ]
    );
    let rows: Vec<_> = identities(&out)
        .iter()
        .map(|row| (row.change.to_owned(), row.source, row.person, row.previous_person))
        .collect();
    assert_eq!(
        rows,
        [("created".to_owned(), source, anonymous, None), ("identified".to_owned(), source, known, Some(anonymous))]
    );
}

#[test]
fn an_identify_that_would_join_two_users_is_refused_and_the_event_accepted() {
    let mut stage = stage();
    let mut out = Outputs::new();
    let inputs = [
        of("a", "identify", Some("d"), Some("anna")),
        of("b", "identify", Some("d"), Some("berta")),
        of("c", "page_view", Some("d"), None),
        of("d", "page_view", Some("d"), Some("anna")),
    ];
    feed(&mut stage, 0, &inputs, &mut out);
    let sources: Vec<Id> = (0..3).map(|login| source_of_device(SITE, "d", login)).collect();
    let whose: Vec<_> =
        events(&out).iter().map(|event| (event.source.unwrap(), event.person_user_id.unwrap().to_owned())).collect();
    let row = |login: usize, user: &str| (sources[login], user.to_owned());
    assert_eq!(whose, [row(0, "anna"), row(1, "berta"), row(1, "berta"), row(2, "anna")]);
    let rows: Vec<_> = identities(&out)
        .iter()
        .map(|row| (row.change.to_owned(), row.source, row.user_id.map(str::to_owned)))
        .collect();
    let row = |change: &str, login: usize, user: &str| (change.to_owned(), sources[login], Some(user.to_owned()));
    assert_eq!(
        rows,
        [
            row("identified", 0, "anna"),
            row("refused", 0, "anna"),
            row("identified", 1, "berta"),
            row("identified", 2, "anna")
        ]
    );
    assert_eq!(stage.fates().get(Fate::IdentifyConflict), 1, "a page view of another user asks for no join");
    assert!(!written(&out).iter().any(|written| matches!(written, Written::Moved(..))));
}

#[test]
fn a_second_device_of_a_user_is_another_source_of_the_same_person() {
    let out = run(&[
        of("a", "identify", Some("d1"), Some("u")),
        of("b", "identify", Some("d2"), Some("u")),
        of("c", "refund_free", None, None),
        of("d", "page_view", None, Some("u")),
    ]);
    let events = events(&out);
    assert!(events.iter().all(|event| event.person == Some(person_of_user(SITE, "u"))));
    let sources: Vec<_> = events.iter().map(|event| event.source.unwrap()).collect();
    assert_eq!(sources, [source_of_device(SITE, "d1", 0), source_of_device(SITE, "d2", 0), source_of_user(SITE, "u")]);
}

/// The rules again, as simply as they can be told: everything is kept, names instead of ids.
#[derive(Default)]
struct Oracle {
    devices: BTreeMap<String, (u32, Option<String>, bool)>,
    refused: u64,
    moved: Vec<(Id, Id, Id)>,
}

impl Oracle {
    fn assign(&mut self, kind: &str, device: Option<&str>, user: Option<&str>) -> Option<(Id, Id, Option<String>)> {
        let Some(device) = device else {
            return user.map(|user| (source_of_user(SITE, user), person_of_user(SITE, user), Some(user.to_owned())));
        };
        let (login, held, seen) = self.devices.entry(device.to_owned()).or_default();
        if kind != "logout"
            && let Some(user) = user
        {
            match held {
                None => {
                    let source = source_of_device(SITE, device, *login);
                    if *seen {
                        self.moved.push((source, person_of_source(SITE, source), person_of_user(SITE, user)));
                    }
                }
                Some(held) if held == user => {}
                Some(_) => {
                    *login += 1;
                    self.refused += u64::from(kind == "identify");
                }
            }
            *held = Some(user.to_owned());
        }
        *seen = true;
        let source = source_of_device(SITE, device, *login);
        let user = held.clone();
        let person = user.as_deref().map_or_else(|| person_of_source(SITE, source), |user| person_of_user(SITE, user));
        if kind == "logout" && held.take().is_some() {
            *login += 1;
            *seen = false;
        }
        Some((source, person, user))
    }
}

type Told = (usize, Option<usize>, Option<usize>);

fn check(told: &[Told]) -> Result<(), TestCaseError> {
    let kinds = ["page_view", "identify", "logout", "search"];
    let (devices, users) = (["d1", "d2", "d3"], ["anna", "berta"]);
    let mut oracle = Oracle::default();
    let (mut inputs, mut expected) = (Vec::new(), Vec::new());
    for (n, &(kind, device, user)) in told.iter().enumerate() {
        let (device, user) = (device.map(|at| devices[at]), user.map(|at| users[at]));
        // An identify needs a user; without one it would be rejected.
        let kind = if kinds[kind] == "identify" && user.is_none() { "page_view" } else { kinds[kind] };
        let search: Option<Value> = (kind == "search").then(|| json!({"query": "x"}));
        let id = format!("e{n}");
        inputs.push(event(json!({"id": id, "type": kind, "device": device, "user": user, "search": search})));
        expected.push((id, oracle.assign(kind, device, user)));
    }
    let mut stage: IngestStage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &inputs, &mut out);
    let found: Vec<_> = events(&out)
        .iter()
        .map(|event| {
            let person = event.source.zip(event.person);
            let user = event.person_user_id.map(str::to_owned);
            (event.event_id.to_owned(), person.map(|(source, person)| (source, person, user)))
        })
        .collect();
    prop_assert_eq!(found, expected);
    let moved: Vec<_> = written(&out)
        .into_iter()
        .filter_map(|written| match written {
            Written::Moved(at, moved) => Some((at, (moved.source, moved.from_person, moved.to_person))),
            _ => None,
        })
        .collect();
    // Into the old person's partition, then into the new one's where that is another.
    let marked = oracle.moved.into_iter().flat_map(|(source, from, to)| {
        let mut places = [from, to].map(|person| partition_for(&person.0.to_be_bytes(), EVENTS_PARTITIONS)).to_vec();
        places.dedup();
        places.into_iter().map(move |at| (at, (source, from, to)))
    });
    prop_assert_eq!(moved, marked.collect::<Vec<_>>());
    prop_assert_eq!(stage.fates().get(Fate::IdentifyConflict), oracle.refused);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn agrees_with_the_oracle(told in prop::collection::vec(
        (0..4usize, prop::option::weighted(0.8, 0..3usize), prop::option::weighted(0.4, 0..2usize)), 0..40)) {
        check(&told)?;
    }

    /// A source belongs to one user at most, and every record of `identity` names the person its events go to.
    #[test]
    fn no_source_ever_has_two_users(told in prop::collection::vec(
        (0..4usize, Just(Some(0usize)), prop::option::weighted(0.5, 0..2usize)), 0..60)) {
        let kinds = ["page_view", "identify", "logout", "page_ping"];
        let inputs: Vec<_> = told.iter().enumerate().map(|(n, &(kind, _, user))| {
            let user = user.map(|at| ["anna", "berta"][at]);
            let kind = if user.is_none() && kinds[kind] == "identify" { "page_view" } else { kinds[kind] };
            of(&format!("e{n}"), kind, Some("d"), user)
        }).collect();
        let out = run(&inputs);
        let mut user_of = BTreeMap::new();
        let mut person_of = BTreeMap::new();
        for written in written(&out) {
            match written {
                Written::Identity(row) => { person_of.insert(row.source, row.person); }
                Written::Event(_, event) => {
                    let source = event.source.unwrap();
                    prop_assert_eq!(person_of.get(&source), event.person.as_ref());
                    if let Some(user) = event.person_user_id {
                        prop_assert_eq!(user_of.entry(source).or_insert_with(|| user.to_owned()), user);
                    }
                }
                _ => {}
            }
        }
    }
}
