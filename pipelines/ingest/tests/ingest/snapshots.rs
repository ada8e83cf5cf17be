//! Snapshots: whatever is snapshotted when, in whatever pieces, kept or not, and whenever the task is restored from it: it goes on as if
//! it had never been away.

use millstream_ingest::{Fate, IngestStage};
use millstream_runtime::snapshot::testing::{Merged, Snapshots, from_bytes, restore, to_bytes};
use millstream_runtime::{Outputs, SnapshotState, Stage};
use millstream_schemas::Id;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::*;
use crate::promises::{Raw, bytes, records, steps};

const HOUR_MS: i64 = 3_600_000;

/// What is done to the task between and with its epochs.
#[derive(Debug, Clone)]
enum Step {
    /// So many records; aborted once and done again where told.
    Epoch(usize, bool),
    /// Begins a snapshot, or writes so many bytes of it and, if that was all, ends it.
    Snapshot { slice_bytes: usize, kept: bool },
    /// It was begun in vain.
    GiveUp,
    /// The process dies; another one restores what was kept.
    Crash { unsorted: bool },
}

fn doings() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..12usize, prop::bool::weighted(0.3)).prop_map(|(most, abort)| Step::Epoch(most, abort)),
        10 => (1..600usize, prop::bool::weighted(0.8)).prop_map(|(slice_bytes, kept)| Step::Snapshot { slice_bytes, kept }),
        1 => Just(Step::GiveUp),
        2 => any::<bool>().prop_map(|unsorted| Step::Crash { unsorted }),
    ];
    prop::collection::vec(step, 0..80)
}

fn state(stage: &mut IngestStage) -> &mut dyn SnapshotState {
    stage.snapshots().unwrap()
}

fn tracked() -> IngestStage {
    let mut stage = stage();
    state(&mut stage).track();
    stage
}

/// A stage that was never away: what each record gave, what became of them, and its whole state in the end.
fn undisturbed(records: &[Vec<u8>]) -> (Vec<Vec<Raw>>, IngestStage, Merged) {
    let mut stage = tracked();
    let said = (0u64..).zip(records).map(|(at, value)| {
        let mut out = Outputs::new();
        feed(&mut stage, at, std::slice::from_ref(value), &mut out);
        stage.commit_epoch();
        bytes(&out)
    });
    let said = said.collect();
    let mut snapshots = Snapshots::new();
    snapshots.take(state(&mut stage));
    (said, stage, snapshots.merged())
}

/// One task that steps are done to.
struct Task<'a> {
    records: &'a [Vec<u8>],
    said: &'a [Vec<Raw>],
    stage: IngestStage,
    next: usize,
    snapshots: Snapshots,
    /// Where the open snapshot and the newest kept one stand in the input.
    open_at: usize,
    kept_at: usize,
}

impl Task<'_> {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Epoch(most, abort) => return self.epoch(most, abort),
            Step::Snapshot { .. } if !self.snapshots.is_open() => {
                self.snapshots.begin(state(&mut self.stage));
                self.open_at = self.next;
            }
            Step::Snapshot { slice_bytes, kept } => {
                if self.snapshots.write(state(&mut self.stage), slice_bytes) {
                    self.snapshots.end(state(&mut self.stage), kept);
                    self.kept_at = if kept { self.open_at } else { self.kept_at };
                }
            }
            Step::GiveUp if self.snapshots.is_open() => self.snapshots.end(state(&mut self.stage), false),
            Step::GiveUp => {}
            Step::Crash { unsorted } => self.crash(unsorted),
        }
        Ok(())
    }

    fn epoch(&mut self, most: usize, abort: bool) -> Result<(), TestCaseError> {
        let until = self.records.len().min(self.next.saturating_add(most));
        for undone in [abort, false].into_iter().skip(usize::from(!abort)) {
            let mut out = Outputs::new();
            feed(&mut self.stage, self.next as u64, &self.records[self.next..until], &mut out);
            if undone {
                self.stage.undo_epoch();
                continue;
            }
            self.stage.commit_epoch();
            let expected: Vec<Raw> = self.said[self.next..until].iter().flatten().cloned().collect();
            prop_assert_eq!(bytes(&out), expected);
        }
        self.next = until;
        Ok(())
    }

    fn crash(&mut self, unsorted: bool) {
        self.snapshots.abandon();
        self.stage = tracked();
        self.next = self.kept_at;
        if self.snapshots.merged().is_empty() {
            return;
        }
        match unsorted {
            true => self.snapshots.restore_unsorted(state(&mut self.stage)).unwrap(),
            false => self.snapshots.restore(state(&mut self.stage)).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_restored_task_goes_on_as_if_it_had_never_been_away(
        first in steps(), second in steps(), doings in doings(), cut in any::<prop::sample::Index>(),
    ) {
        // Ids of the first act come again in the second, some within the horizon, some after they have expired.
        let acts: Vec<_> = first.into_iter().chain(second).collect();
        let records = records(&acts);
        let (said, whole, expected) = undisturbed(&records);
        let mut task = Task {
            records: &records,
            said: &said,
            stage: tracked(),
            next: 0,
            snapshots: Snapshots::new(),
            open_at: 0,
            kept_at: 0,
        };
        for step in &doings {
            task.step(step)?;
        }
        task.epoch(cut.index(records.len() + 1), false)?;
        task.snapshots.take(state(&mut task.stage));
        task.kept_at = task.next;
        task.crash(false);
        task.epoch(usize::MAX, false)?;
        prop_assert_eq!(task.stage.fates(), whole.fates());
        prop_assert_eq!(task.stage.state_keys(), whole.state_keys());
        let about = state(&mut task.stage).about();
        task.snapshots.take(state(&mut task.stage));
        prop_assert_eq!(task.snapshots.merged(), expected);
        prop_assert_eq!(&about["identities"], &whole.state_keys().to_string());
    }

    #[test]
    fn damage_of_any_entry_is_an_error_or_a_state(
        acts in steps(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..=255u8, 0..4usize), 20),
    ) {
        let (_, _, merged) = undisturbed(&records(&acts));
        for (which, at, byte, how) in damages {
            let mut damaged = merged.clone();
            let value = damaged.values_mut().nth(which.index(merged.len())).unwrap();
            let at = at.index(value.len());
            match how {
                0 => value.truncate(at),
                1 => value.insert(at, byte),
                2 => value[at] = byte,
                _ => value[at] ^= 1 << (byte % 8),
            }
            let mut stage = tracked();
            if restore(&damaged, state(&mut stage)).is_ok() {
                Snapshots::new().take(state(&mut stage));
                stage.undo_epoch();
            }
        }
    }
}

/// A fixture: its name, its bytes, and the hash of them, so that nobody changes it unawares.
const FIXTURES: [(&str, &[u8], &str); 1] =
    [("snapshot-v1.bin", include_bytes!("../../fixtures/snapshot-v1.bin"), "fe3066f7826720694017e59c0b33e2ff")];
/// The hash of what the task says after it, however it came by the state. It changes with the logic version alone.
const SAID_AFTER: &str = "ac1997f432d9090b20f1032fdbcccf98";

fn of(minute: i64, json: Value) -> Vec<u8> {
    live(NOON + minute * 60_000, json.to_string().as_bytes())
}

/// What leaves something of everything: devices of nobody, of somebody and of somebody no more, a user without one, what they consent
/// to, ids of several hours, settings with two policies, a bot and a refused event.
fn head() -> Vec<Vec<u8>> {
    vec![
        site_config(1, NOON - HOUR_MS, json!({"consent_default": ["analytics"]})),
        site_config(2, NOON + 2 * HOUR_MS, json!({"consent_default": [], "horizon_ms": 100_000_000})),
        of(0, json!({"id": "a", "type": "page_view", "device": "d1", "page": {"url": "https://shop.example/"}})),
        of(1, json!({"id": "b", "type": "identify", "device": "d2", "user": "anna"})),
        of(2, json!({"id": "c", "type": "logout", "device": "d2"})),
        of(3, json!({"id": "d", "type": "page_view", "device": "d2", "user": "berta"})),
        of(4, json!({"id": "e", "type": "search", "user": "carla", "search": {"query": "shoes"}})),
        of(5, json!({"id": "f", "type": "consent", "device": "d1", "consent": ["analytics", "personalization"]})),
        of(6, json!({"id": "f", "type": "page_view", "device": "d3"})),
        of(7, json!({"id": "g", "type": "page_view", "device": "d3", "consent": []})),
        of(90, json!({"id": "h", "type": "identify", "device": "d3", "user": "anna"})),
        of(200, json!({"id": "i", "type": "page_view", "device": "d4", "consent": ["analytics"]})),
        of(201, json!({"id": "j"})),
        tick("live", NOON + 202 * 60_000),
    ]
}

/// What comes then: ids again, devices that come back, time that goes on.
fn tail() -> Vec<Vec<u8>> {
    let again = |minute: i64| {
        head().into_iter().skip(2).take(10).chain([
            of(minute, json!({"id": "a", "type": "page_view", "device": "d1"})),
            of(minute, json!({"id": "k", "type": "identify", "device": "d1", "user": "berta"})),
            of(minute, json!({"id": "i", "type": "page_view", "device": "d2"})),
            of(minute, json!({"id": "h", "type": "logout", "device": "d3"})),
            of(minute, json!({"id": "l", "type": "page_view", "device": "d5"})),
        ])
    };
    [205, 1_500, 1_700, 1_900].into_iter().flat_map(again).collect()
}

fn said_after(stage: &mut IngestStage) -> String {
    let mut out = Outputs::new();
    feed(stage, head().len() as u64, &tail(), &mut out);
    Id::of(&[format!("{:?}", bytes(&out)).as_bytes()]).to_string()
}

/// In a new version of the format: `cargo test -p millstream-ingest --test ingest write_the_fixture -- --ignored`.
#[test]
#[ignore = "writes the fixture of this program's format"]
#[expect(clippy::disallowed_methods, reason = "asked for by hand, when a format changes")]
fn write_the_fixture() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snapshot-new.bin");
    std::fs::write(path, to_bytes(&undisturbed(&head()).2)).unwrap();
}

#[test]
fn snapshots_of_every_version_are_read_and_give_the_same() {
    assert_eq!(said_after(&mut undisturbed(&head()).1), SAID_AFTER);
    for (name, fixture, content) in FIXTURES {
        assert_eq!(Id::of(&[fixture]).to_string(), content, "{name} was changed; it never may");
        let mut stage = tracked();
        restore(&from_bytes(fixture).unwrap(), state(&mut stage)).unwrap();
        let about = state(&mut stage).about();
        let counts = ["identities", "event_ids", "watermark"].map(|name| about[name].as_str());
        assert_eq!(counts, ["5", "9", "2026-09-21T17:35:19Z"], "{name}");
        let fates = [Fate::Duplicate, Fate::Rejected, Fate::ConsentRefused].map(|fate| stage.fates().get(fate));
        assert_eq!(fates, [1, 1, 1], "{name}");
        assert_eq!(said_after(&mut stage), SAID_AFTER, "{name}");
    }
}

#[test]
fn the_newest_fixture_is_what_this_program_writes() {
    let fixture = from_bytes(FIXTURES[FIXTURES.len() - 1].1).unwrap();
    assert!(fixture == undisturbed(&head()).2, "this program writes something else");
}

#[test]
fn a_lost_entry_of_small_state_is_told() {
    let (_, _, merged) = undisturbed(&head());
    for key in 1..=4 {
        let mut merged = merged.clone();
        merged.remove(&(0, key)).unwrap();
        let error = restore(&merged, state(&mut tracked())).unwrap_err();
        let text = error.to_string();
        // Without the position no id can be taken in.
        assert!(error.key == key && text.contains("missing") || key == 4 && text.contains("the newest is 0"), "{text}");
    }
}
