//! Snapshots: whatever is snapshotted when, in whatever pieces, kept or not, and whenever the task is restored from it: it goes on as if
//! it had never been away.

use std::sync::Arc;

use millstream_operators::core::limits::TIMERS_PER_RECORD;
use millstream_runtime::snapshot::testing::{Merged, Snapshots, restore};
use millstream_runtime::{Outputs, SnapshotState, Stage};
use millstream_schemas::{Control, Event, Id, Watermark};
use millstream_scoring::{builtin, content_hash};
use millstream_transports::{Retention, TopicSpec};
use proptest::prelude::*;

use super::convergence::{Scenario, Schedule, run, scenario, schedule};
use super::promotions::{BACK, champion, promotion};
use super::world::{Input, Output, SITE, factory, framed, record};
use crate::factory::OUT_SESSIONS;
use crate::{MemoryArtefacts, ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};

const DAY_MS: i64 = 86_400_000;
/// Days by whose ends more and more goes: sessions, orders, purchases, touches, visits, customers.
const LATER_DAYS: [i64; 8] = [1, 3, 40, 131, 401, 432, 462, 3_700];

/// A control record among the others.
#[derive(Debug, Clone)]
enum Extra {
    Promoted,
    TakenBack,
    Settings(usize),
}

const SETTINGS: [&str; 3] = [
    r#"{"consent_default":[]}"#,
    r#"{"consent_default":["advertising"],"session_gap_ms":600000,"attribution_half_life_touches":2}"#,
    r#"{"new_session_on_campaign":true,"churn":{"difference":0.02},"clv":{"difference":0.02}}"#,
];

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

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..20usize, prop::bool::weighted(0.3)).prop_map(|(most, abort)| Step::Epoch(most, abort)),
        10 => (1..3_000usize, prop::bool::weighted(0.8)).prop_map(|(slice_bytes, kept)| Step::Snapshot { slice_bytes, kept }),
        1 => Just(Step::GiveUp),
        2 => any::<bool>().prop_map(|unsorted| Step::Crash { unsorted }),
    ];
    prop::collection::vec(step, 0..80)
}

/// A task's whole input: what was written to its partition, with control records in between, and time that goes on behind it.
fn input(log: &[Input], extras: &[(prop::sample::Index, Extra)]) -> Vec<Input> {
    let mut values: Vec<(Vec<u8>, Vec<u8>)> =
        log.iter().map(|input| (input.key.clone(), input.value.clone())).collect();
    let shipped = champion(content_hash(builtin::PROPENSITY));
    let mut at: Vec<(usize, &Extra)> = extras.iter().map(|(at, extra)| (at.index(values.len() + 1), extra)).collect();
    at.sort_by_key(|(at, _)| *at);
    let numbered: Vec<_> = (10i64..).zip(at).collect();
    for (number, (at, extra)) in numbered.into_iter().rev() {
        let value = match extra {
            Extra::Promoted => promotion(number, ["", SITE][number as usize % 2], &shipped),
            Extra::TakenBack => promotion(number, "", BACK),
            Extra::Settings(which) => framed(&Control {
                number,
                kind: "site_config",
                site: SITE,
                effective_at: number * 3_600_000,
                body: SETTINGS[*which],
            }),
        };
        values.insert(at, (Vec::new(), value));
    }
    for day in LATER_DAYS {
        values.push((Vec::new(), framed(&Watermark { upstream: 0, upstreams: 1, time: (40 + day) * DAY_MS })));
    }
    // Offsets have gaps.
    (0u64..).zip(values).map(|(at, (key, value))| Input { offset: at * 3 / 2, key, value }).collect()
}

fn outputs(out: &Outputs) -> Vec<Output> {
    out.iter()
        .map(|append| Output {
            topic: append.topic,
            partition: append.partition,
            key: append.key.to_vec(),
            value: append.value.to_vec(),
        })
        .collect()
}

/// A stage that was never away: what each record gave, and its whole state in the end.
fn undisturbed(scenario: &Scenario, partition: u32, input: &[Input]) -> (Vec<Vec<Output>>, Merged) {
    let mut stage = tracked(scenario, partition);
    let said = input.iter().map(|input| {
        let mut out = Outputs::new();
        stage.on_record(record(partition, input), &mut out);
        stage.commit_epoch();
        outputs(&out)
    });
    let said = said.collect();
    let mut snapshots = Snapshots::new();
    snapshots.take(&mut stage);
    (said, snapshots.merged())
}

fn tracked(scenario: &Scenario, partition: u32) -> ProfileStage {
    let mut stage = factory(scenario.partitions).stage(partition);
    stage.track();
    stage
}

/// One task that steps are done to.
struct Task<'a> {
    scenario: &'a Scenario,
    partition: u32,
    input: &'a [Input],
    said: &'a [Vec<Output>],
    stage: ProfileStage,
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
                self.snapshots.begin(&mut self.stage);
                self.open_at = self.next;
            }
            Step::Snapshot { slice_bytes, kept } => {
                if self.snapshots.write(&mut self.stage, slice_bytes) {
                    self.snapshots.end(&mut self.stage, kept);
                    self.kept_at = if kept { self.open_at } else { self.kept_at };
                }
            }
            Step::GiveUp if self.snapshots.is_open() => self.snapshots.end(&mut self.stage, false),
            Step::GiveUp => {}
            Step::Crash { unsorted } => self.crash(unsorted),
        }
        Ok(())
    }

    fn epoch(&mut self, most: usize, abort: bool) -> Result<(), TestCaseError> {
        let until = self.input.len().min(self.next.saturating_add(most));
        for undone in [abort, false].into_iter().skip(usize::from(!abort)) {
            let mut out = Outputs::new();
            for input in &self.input[self.next..until] {
                self.stage.on_record(record(self.partition, input), &mut out);
            }
            if undone {
                self.stage.undo_epoch();
                continue;
            }
            self.stage.commit_epoch();
            let expected: Vec<Output> = self.said[self.next..until].iter().flatten().cloned().collect();
            prop_assert_eq!(outputs(&out), expected);
        }
        self.next = until;
        Ok(())
    }

    fn crash(&mut self, unsorted: bool) {
        self.snapshots.abandon();
        self.stage = tracked(self.scenario, self.partition);
        self.next = self.kept_at;
        if self.snapshots.merged().is_empty() {
            return;
        }
        match unsorted {
            true => self.snapshots.restore_unsorted(&mut self.stage).unwrap(),
            false => self.snapshots.restore(&mut self.stage).unwrap(),
        }
        assert_eq!(self.stage.blocked(), None);
    }
}

fn extras() -> impl Strategy<Value = Vec<(prop::sample::Index, Extra)>> {
    let extra =
        prop_oneof![Just(Extra::Promoted), Just(Extra::TakenBack), (0..SETTINGS.len()).prop_map(Extra::Settings),];
    prop::collection::vec((any::<prop::sample::Index>(), extra), 0..6)
}

fn logs(scenario: &Scenario, schedule: &Schedule, extras: &[(prop::sample::Index, Extra)]) -> Vec<Vec<Input>> {
    run(scenario, Some(schedule)).log.iter().map(|log| input(log, extras)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_restored_task_goes_on_as_if_it_had_never_been_away(
        scenario in scenario(), schedule in schedule(), extras in extras(), steps in steps(),
    ) {
        for (partition, input) in (0..).zip(logs(&scenario, &schedule, &extras)) {
            let (said, state) = undisturbed(&scenario, partition, &input);
            let mut task = Task {
                scenario: &scenario,
                partition,
                input: &input,
                said: &said,
                stage: tracked(&scenario, partition),
                next: 0,
                snapshots: Snapshots::new(),
                open_at: 0,
                kept_at: 0,
            };
            for step in &steps {
                task.step(step)?;
            }
            // Once more late: everything that was ever set, owed or folded must come from the snapshot.
            let middle = (input.len() - LATER_DAYS.len()).saturating_sub(task.next);
            task.epoch(middle, false)?;
            task.snapshots.take(&mut task.stage);
            task.kept_at = task.next;
            task.crash(false);
            task.epoch(usize::MAX, false)?;
            task.snapshots.take(&mut task.stage);
            prop_assert_eq!(task.snapshots.merged(), state);
        }
    }

    /// Every value is what it is read as: written again, it is the same.
    #[test]
    fn damage_of_any_entry_is_an_error_or_a_state(
        scenario in scenario(), schedule in schedule(), extras in extras(), until in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..=255u8, 0..4usize), 20),
    ) {
        let logs = logs(&scenario, &schedule, &extras);
        let input = &logs[0][..until.index(logs[0].len())];
        let (_, merged) = undisturbed(&scenario, 0, input);
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
            let mut stage = tracked(&scenario, 0);
            if restore(&damaged, &mut stage).is_ok() {
                Snapshots::new().take(&mut stage);
                stage.undo_epoch();
            }
        }
    }
}

fn stage_with(artefacts: MemoryArtefacts) -> ProfileStage {
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever });
    let config = ProfileConfig { artefacts: Arc::new(artefacts), ..ProfileConfig::new(topics) };
    let mut stage = ProfileFactory::new(config).stage(0);
    stage.track();
    stage
}

#[test]
fn a_promoted_artefact_that_cannot_be_had_blocks_and_nothing_else_scores() {
    let shipped = content_hash(builtin::PROPENSITY);
    let mut stage = stage_with(MemoryArtefacts::builtin());
    let mut out = Outputs::new();
    let input = Input { offset: 0, key: Vec::new(), value: promotion(1, "", &champion(shipped)) };
    stage.on_record(record(0, &input), &mut out);
    stage.commit_epoch();
    let mut snapshots = Snapshots::new();
    snapshots.take(&mut stage);
    let models = &stage.about()["models"];
    assert!(models.contains(&Id(shipped).to_string()) && models.contains("all: propensity"), "{models}");

    let mut without = stage_with(MemoryArtefacts::new());
    snapshots.restore(&mut without).unwrap();
    for _ in 0..2 {
        let why = without.blocked().unwrap();
        assert!(why.contains(&Id(shipped).to_string()) && why.contains("cannot be loaded"), "{why}");
        without.undo_epoch();
    }
    // What was promoted is not forgotten either.
    let mut again = Snapshots::new();
    again.take(&mut without);
    assert_eq!(again.merged()[&(0, 4)], snapshots.merged()[&(0, 4)]);
    let mut with = stage_with(MemoryArtefacts::builtin());
    snapshots.restore(&mut with).unwrap();
    assert_eq!(with.blocked(), None);
}

#[test]
fn a_lost_entry_of_small_state_is_told() {
    let mut snapshots = Snapshots::new();
    snapshots.take(&mut stage_with(MemoryArtefacts::new()));
    for key in 1..=5 {
        let mut merged = snapshots.merged();
        merged.remove(&(0, key)).unwrap();
        let error = restore(&merged, &mut stage_with(MemoryArtefacts::new())).unwrap_err();
        assert!(error.key == key && error.to_string().contains("missing"), "{error}");
    }
    let mut merged = snapshots.merged();
    merged.insert((9, 1), vec![1]);
    let error = restore(&merged, &mut stage_with(MemoryArtefacts::new())).unwrap_err();
    assert!(error.to_string().contains("section 9"), "{error}");
}

/// More timers are due than one announcement may fire: what is owed is owed by whoever is restored, too.
#[test]
fn timers_that_are_owed_are_not_forgotten() {
    let mut stage = stage_with(MemoryArtefacts::new());
    let mut out = Outputs::new();
    let more = 7;
    for number in 0..(TIMERS_PER_RECORD + more) as u64 {
        let id = number.to_string();
        let event = Event {
            site: SITE,
            event_id: &id,
            event_type: "page_view",
            event_time: 1_000,
            consent: 15,
            source: Some(Id(number.into())),
            person: Some(Id(number.into())),
            channel: "direct",
            ..Event::default()
        };
        let input = Input { offset: number, key: Vec::new(), value: framed(&event) };
        stage.on_record(record(0, &input), &mut out);
    }
    let announcement = framed(&Watermark { upstream: 0, upstreams: 1, time: DAY_MS / 2 });
    let mut offset = 100_000;
    let mut closed = |stage: &mut ProfileStage| {
        let mut out = Outputs::new();
        offset += 1;
        stage.on_record(record(0, &Input { offset, key: Vec::new(), value: announcement.clone() }), &mut out);
        stage.commit_epoch();
        out.iter().filter(|append| append.topic == OUT_SESSIONS).count()
    };
    assert_eq!(closed(&mut stage), TIMERS_PER_RECORD);
    let mut snapshots = Snapshots::new();
    snapshots.take(&mut stage);
    let mut again = stage_with(MemoryArtefacts::new());
    snapshots.restore(&mut again).unwrap();
    again.undo_epoch();
    for stage in [&mut stage, &mut again] {
        assert_eq!([closed(stage), closed(stage)], [more, 0], "the same time, told again, pays what is owed");
    }
}
