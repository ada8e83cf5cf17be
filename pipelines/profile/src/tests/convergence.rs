//! Both promises, with sources that move: the same input gives the same bytes, and however it was interleaved, cut, aborted or
//! spread over partitions, the same current views.
//!
//! The identity oracle: what is left when all is done is what there would be, had every source belonged to its last person from the
//! start.

use std::collections::BTreeMap;

use millstream_schemas::{Decimal, Event, Id, Line, OrderEntry, SourceMoved};
use proptest::prelude::*;

use super::world::{Output, SITE, World, replay};
use crate::factory::OUT_PROFILES;

type View = BTreeMap<(u16, Vec<u8>), String>;

const MINUTE_MS: i64 = 60_000;
const KINDS: [&str; 9] = [
    "page_view",
    "page_ping",
    "product_view",
    "search",
    "add_to_cart",
    "checkout_step",
    "purchase",
    "refund",
    "offline_touch",
];
/// How much later the second act is: by then nothing of the first can be amended any more, and all of it is folded.
const INTERVAL_MINUTES: i64 = 30 * 1_440;

/// What the shop has set, before the first event.
const SETTINGS: [&str; 3] = ["{}", "{\"session_source\":\"tracker\"}", "{\"new_session_on_campaign\":true}"];

/// One thing that happens to a source.
#[derive(Debug, Clone)]
enum Step {
    Event { kind: usize, minute: i64, consent: i32, order: u8 },
    Move { user: u8 },
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub partitions: u32,
    /// Index into [`SETTINGS`].
    settings: usize,
    sources: Vec<Vec<Step>>,
    /// What the same sources do a month later; nothing where there is no second act.
    later: Vec<Vec<Step>>,
    /// Which source goes next; a watermark where it is beyond the sources.
    turns: Vec<u8>,
}

/// How the log is written and worked off.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// (partition, records of the epoch, aborted first) after each turn.
    epochs: Vec<(u32, usize, bool)>,
}

pub fn scenario() -> impl Strategy<Value = Scenario> {
    let step = prop_oneof![
        8 => (0..KINDS.len(), 0..40i64, 0..8i32, 0..3u8).prop_map(|(kind, minute, consent, order)| {
            Step::Event { kind, minute: minute * 10, consent: 1 | consent, order }
        }),
        1 => (0..3u8).prop_map(|user| Step::Move { user }),
    ];
    let sources = prop::collection::vec(prop::collection::vec(step.clone(), 1..14), 1..4);
    let later = prop::collection::vec(prop::collection::vec(step, 0..8), 0..4);
    let turns = prop::collection::vec(0..5u8, 60);
    (1..5u32, 0..SETTINGS.len(), sources, later, turns).prop_map(|(partitions, settings, sources, mut later, turns)| {
        later.truncate(sources.len());
        Scenario { partitions, settings, sources, later, turns }
    })
}

impl Scenario {
    /// Where a session that was folded belonged to somebody else then, its rows keep that person.
    fn has_one_act(&self) -> bool {
        self.later.is_empty()
    }

    fn acts(&self) -> impl Iterator<Item = &Vec<Vec<Step>>> {
        [&self.sources, &self.later].into_iter().filter(|sources| !sources.is_empty())
    }

    fn all_steps(&self, source: usize) -> impl DoubleEndedIterator<Item = &Step> {
        self.sources[source].iter().chain(self.later.get(source).into_iter().flatten())
    }
}

pub fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec((0..5u32, 0..6usize, any::<bool>()), 60).prop_map(|epochs| Schedule { epochs })
}

fn source_id(source: usize) -> Id {
    Id::of(&[b"source", &[source as u8]])
}

/// The person of a source: its own until it is identified.
fn person(source: usize, user: Option<u8>) -> Id {
    match user {
        None => Id::of(&[b"anonymous", &[source as u8]]),
        Some(user) => Id::of(&[b"user", &[user]]),
    }
}

fn last_user<'a>(steps: impl DoubleEndedIterator<Item = &'a Step>) -> Option<u8> {
    steps.rev().find_map(|step| match step {
        Step::Move { user } => Some(*user),
        Step::Event { .. } | Step::Nothing => None,
    })
}

/// What ingest would write for one step of one source.
fn write(world: &mut World, source: usize, at: usize, step: &Step, user: &mut Option<u8>, moves: bool, act: usize) {
    let from_minute = act as i64 * INTERVAL_MINUTES;
    match *step {
        Step::Nothing => {}
        Step::Move { user: new } => {
            let (from, to) = (person(source, *user), person(source, Some(new)));
            if moves && from != to {
                *user = Some(new);
                let name = format!("user-{new}");
                world.moved(&SourceMoved {
                    site: SITE,
                    source: source_id(source),
                    from_person: from,
                    to_person: to,
                    user_id: Some(&name),
                    event_time: 5,
                    source_event: "login",
                });
            }
        }
        Step::Event { kind, minute, consent, order } => {
            let kind = KINDS[kind];
            let minute = from_minute + minute;
            let (event_id, name) = (format!("s{source}-e{act}{at:02}"), user.map(|user| format!("user-{user}")));
            // An order belongs to one source here; two devices that tell of one order are the orders' own test.
            let order_id = matches!(kind, "purchase" | "refund").then(|| format!("s{source}-o{act}{order}"));
            // Every third refund names no order, and takes back what the person bought last.
            let order_id = order_id.filter(|_| kind == "purchase" || order < 2);
            let refund_id = (kind == "refund").then(|| format!("s{source}-r{act}{order}"));
            let is_order = order_id.is_some() || refund_id.is_some();
            let tracker = format!("t{}", minute / 150);
            let event = Event {
                site: SITE,
                event_id: &event_id,
                event_type: kind,
                event_time: minute * MINUTE_MS,
                tracker_session_id: Some(&*tracker).filter(|_| order > 0),
                utm_campaign: [None, None, Some("spring"), Some("summer")][at % 4],
                consent,
                source: Some(source_id(source)),
                person: Some(person(source, *user)),
                person_user_id: name.as_deref(),
                channel: ["direct", "email", "paid_search"][at % 3],
                page_url: Some("https://shop/"),
                engaged_ms: Some(at as i64 * 1_700),
                order_id: order_id.as_deref(),
                refund_id: refund_id.as_deref(),
                currency: is_order.then_some("EUR"),
                amount_minor: is_order.then_some(100 + at as i64),
                ..Event::default()
            };
            world.event(&event);
            if is_order {
                let line = |line_no: i32| Line {
                    line_no,
                    product_id: ["p", "q"][line_no as usize % 2],
                    quantity: 1 + i64::from(order),
                    amount_minor: 40,
                    unit_price: Decimal::ZERO,
                    ..Line::default()
                };
                world.order_entry(&OrderEntry {
                    site: SITE,
                    kind,
                    order_id: event.order_id,
                    refund_id: event.refund_id,
                    event_id: event.event_id,
                    event_time: event.event_time,
                    consent,
                    source: event.source,
                    person: event.person,
                    person_user_id: event.person_user_id,
                    currency: event.currency,
                    amount_minor: event.amount_minor,
                    lines: (1..=1 + at as i32 % 3).map(line).collect(),
                    ..OrderEntry::default()
                });
            }
        }
    }
}

pub fn run(scenario: &Scenario, schedule: Option<&Schedule>) -> World {
    let mut world = World::new(scenario.partitions);
    world.settings(SETTINGS[scenario.settings]);
    let mut users = vec![None; scenario.sources.len()];
    for (act, sources) in scenario.acts().enumerate() {
        let from_ms = act as i64 * INTERVAL_MINUTES * MINUTE_MS;
        let mut at = vec![0; sources.len()];
        let mut watermark_ms = 0;
        let everything = scenario.turns.iter().map(|turn| usize::from(*turn)).chain((0..4).cycle().take(200));
        for (turn, source) in everything.enumerate() {
            match sources.get(source).and_then(|steps| Some((at.get(source)?, steps))) {
                Some((&next, steps)) => {
                    if let Some(step) = steps.get(next) {
                        write(&mut world, source, next, step, &mut users[source], true, act);
                        at[source] += 1;
                    }
                }
                None => {
                    watermark_ms = (watermark_ms + 7 * MINUTE_MS).min(200 * MINUTE_MS);
                    world.watermark(from_ms + watermark_ms);
                }
            }
            if let Some((partition, most, abort)) = schedule.and_then(|schedule| schedule.epochs.get(turn)) {
                world.epoch(partition % scenario.partitions, *most, *abort);
            }
        }
        end_act(&mut world, scenario, act);
    }
    world.drain();
    world
}

/// After the first act of two, so much time passes that all is folded; not all of it has been worked off by then.
fn end_act(world: &mut World, scenario: &Scenario, act: usize) {
    let minute = match (act, scenario.has_one_act()) {
        (0, false) => INTERVAL_MINUTES - 5 * 1_440,
        _ => act as i64 * INTERVAL_MINUTES + 250,
    };
    world.watermark(minute * MINUTE_MS);
}

/// Every source belongs to its last person from the start.
fn oracle(scenario: &Scenario) -> World {
    let mut world = World::new(scenario.partitions);
    world.settings(SETTINGS[scenario.settings]);
    for (act, sources) in scenario.acts().enumerate() {
        for (source, steps) in sources.iter().enumerate() {
            let mut user = last_user(scenario.all_steps(source));
            for (at, step) in steps.iter().enumerate() {
                write(&mut world, source, at, step, &mut user, false, act);
            }
        }
        end_act(&mut world, scenario, act);
    }
    world.drain();
    world
}

/// Names the rows that differ, and no other.
fn same(left: &View, right: &View) -> Result<(), TestCaseError> {
    let differs = |key: &&(u16, Vec<u8>)| left.get(*key) != right.get(*key);
    let keys: std::collections::BTreeSet<&(u16, Vec<u8>)> = left.keys().chain(right.keys()).collect();
    let rows: Vec<String> = keys
        .into_iter()
        .filter(differs)
        .map(|key| format!("{}: {:#?}\nand {:#?}", key.0, left.get(key), right.get(key)))
        .collect();
    prop_assert!(rows.is_empty(), "{}", rows.join("\n"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn moved_sources_end_as_if_they_had_always_been_there(scenario in scenario(), schedule in schedule()) {
        let moved = run(&scenario, Some(&schedule));
        prop_assert!(moved.rejected().is_empty(), "{:?}", moved.rejected());
        let owners = scenario.has_one_act();
        same(&moved.view_of(owners), &oracle(&scenario).view_of(owners))?;
        let profiles: BTreeMap<_, _> = moved.view().into_iter().filter(|((topic, _), _)| *topic == OUT_PROFILES).collect();
        // What compaction leaves are the current profiles.
        same(&moved.latest_profiles(), &profiles)?;
        for stage in &moved.stages {
            prop_assert_eq!(stage.memory_use(all_persons(&scenario)).held, 0, "nothing waits for ever");
        }
    }

    /// A source that joined a user and left again for another one: nothing of it is left with the first.
    #[test]
    fn merged_then_unmerged_is_never_merged(scenario in scenario(), schedule in schedule(), at in 0..14usize) {
        let with = |merge: bool| {
            let mut scenario = scenario.clone();
            scenario.later.clear();
            let steps = &mut scenario.sources[0];
            steps.retain(|step| !matches!(step, Step::Move { .. }));
            // In its place a step that is nothing, so that all others are the same.
            steps.insert(at.min(steps.len()), if merge { Step::Move { user: 0 } } else { Step::Nothing });
            steps.push(Step::Move { user: 9 });
            scenario
        };
        let never = run(&with(false), None).view();
        let merged = run(&with(true), Some(&schedule)).view();
        same(&merged, &never)?;
    }

    #[test]
    fn two_schedules_of_one_input_end_in_one_view(scenario in scenario(), one in schedule(), other in schedule()) {
        let owners = scenario.has_one_act();
        same(&run(&scenario, Some(&one)).view_of(owners), &run(&scenario, Some(&other)).view_of(owners))?;
    }

    /// A task's recorded input gives the same bytes, record by record, however it is cut and whatever was aborted.
    #[test]
    fn a_replay_is_equal_byte_by_byte(
        scenario in scenario(),
        schedule in schedule(),
        cuts in prop::collection::vec((1..9usize, any::<bool>()), 0..40),
    ) {
        let world = run(&scenario, Some(&schedule));
        for partition in 0..scenario.partitions {
            let inputs = &world.log[partition as usize];
            let straight = replay(scenario.partitions, partition, inputs, &[]);
            prop_assert_eq!(&replay(scenario.partitions, partition, inputs, &cuts), &straight);
            let live: Vec<&Output> = world.outputs.iter().filter(|output| came_from(output, partition)).collect();
            let replayed: Vec<&Output> = straight.iter().filter(|output| came_from(output, partition)).collect();
            prop_assert_eq!(live, replayed);
        }
    }
}

/// Results stay in the partition of their input; what goes to `events` does not tell where it came from.
fn came_from(output: &Output, partition: u32) -> bool {
    output.topic != crate::factory::OUT_EVENTS && output.partition == partition
}

fn all_persons(scenario: &Scenario) -> Vec<Id> {
    let sources = 0..scenario.sources.len();
    let anonymous = sources.map(|source| person(source, None));
    anonymous.chain((0..3).map(|user| person(0, Some(user)))).collect()
}

fn event(id: &str, minute: i64, person: Id) -> Event<'_> {
    Event {
        site: SITE,
        event_id: id,
        event_type: "page_view",
        event_time: minute * MINUTE_MS,
        consent: 15,
        source: Some(source_id(0)),
        person: Some(person),
        channel: "direct",
        ..Event::default()
    }
}

/// A → B → C, the second marker before the first hand-over: C ends up with everything, once.
#[test]
fn a_chain_of_owners_ends_at_the_last() {
    let [a, b, c] = [None, Some(0), Some(1)].map(|user| person(0, user));
    for partitions in [1, 2, 3, 7] {
        let mut world = World::new(partitions);
        world.event(&event("a", 0, a));
        for (from, to, id) in [(a, b, "b"), (b, c, "c")] {
            let user = Some("user");
            world.moved(&SourceMoved {
                site: SITE,
                source: source_id(0),
                from_person: from,
                to_person: to,
                user_id: user,
                event_time: 5,
                source_event: "login",
            });
            world.event(&event(id, 1, to));
        }
        world.drain();
        let view: Vec<String> = world.view().into_values().collect();
        assert_eq!(view.len(), 2, "one session and its score: {view:?}");
        assert!(view.iter().all(|row| row.contains(&format!("person: {c:?}"))), "{view:?}");
        assert!(view[0].contains("events: 3"), "{view:?}");
        let highest = world.outputs.iter().filter(|output| output.topic == 0).map(|output| {
            let (_, body) = millstream_schemas::frame::split(&output.value).unwrap();
            millstream_schemas::revision::split(millstream_schemas::Session::decode(body).unwrap().revision).0
        });
        assert_eq!(highest.max(), Some(2), "handed over twice");
    }
}

/// A marker for a source of which the old person's task knows nothing still lets the new one go on.
#[test]
fn a_source_without_state_is_handed_over_too() {
    for partitions in [1, 4] {
        let mut world = World::new(partitions);
        let (a, b) = (person(0, None), person(0, Some(0)));
        world.moved(&SourceMoved {
            site: SITE,
            source: source_id(0),
            from_person: a,
            to_person: b,
            user_id: None,
            event_time: 5,
            source_event: "login",
        });
        world.event(&event("b", 1, b));
        world.drain();
        assert_eq!(world.view().len(), 2);
        assert!(world.stages.iter().all(|stage| stage.memory_use([a, b]).held == 0));
    }
}
