//! A small world: a partitioned `events` log, a stage for each partition, and what they emit.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::{Control, Event, HandOver, Id, OrderEntry, Record, SourceMoved, Watermark};
use millstream_scoring::{Features, Reasons, Role, Score, Scorer};
use millstream_transports::{RecordRef, Retention, TopicSpec, partition_for};

use crate::factory::{OUT_EVENTS, OUT_PROFILES, OUT_PROFILES_LATEST};
use crate::{ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};

pub const SITE: &str = "shop";

/// An output record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub topic: u16,
    pub partition: u32,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// An input record.
#[derive(Debug, Clone)]
pub struct Input {
    pub offset: u64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

pub struct World {
    pub partitions: u32,
    pub log: Vec<Vec<Input>>,
    pub stages: Vec<ProfileStage>,
    pub next: Vec<usize>,
    pub outputs: Vec<Output>,
}

pub fn factory(partitions: u32) -> ProfileFactory {
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions, retention: Retention::Forever });
    ProfileFactory::new(ProfileConfig { scorer: Arc::new(Witness), ..ProfileConfig::new(topics) })
}

/// A scorer whose answer differs wherever any feature differs, so that a score made of the wrong history shows.
struct Witness;

impl Scorer for Witness {
    fn model(&self) -> &str {
        "witness"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn calibration_version(&self) -> &str {
        "none"
    }

    fn role(&self) -> Role {
        Role::Challenger
    }

    fn schema_hash(&self) -> u128 {
        0
    }

    fn score(&self, features: &Features) -> Score {
        let bytes: Vec<u8> = features.0.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        let p = Id::of(&[&bytes]).0 as f64 / u128::MAX as f64;
        Score { p_raw: p, p, within_7_days: None, reasons: Reasons::default() }
    }
}

pub fn framed<R: Record>(record: &R) -> Vec<u8> {
    let mut value = Vec::new();
    millstream_schemas::frame::begin(R::SCHEMA.id, &mut value);
    record.encode(&mut value);
    value
}

impl World {
    pub fn new(partitions: u32) -> Self {
        let factory = factory(partitions);
        Self {
            partitions,
            log: vec![Vec::new(); partitions as usize],
            stages: (0..partitions).map(|partition| factory.stage(partition)).collect(),
            next: vec![0; partitions as usize],
            outputs: Vec::new(),
        }
    }

    pub fn append(&mut self, partition: u32, key: &[u8], value: Vec<u8>) {
        let log = &mut self.log[partition as usize];
        // Offsets have gaps: each third one is a transaction's marker.
        let offset = log.len() as u64 * 3 / 2;
        log.push(Input { offset, key: key.to_vec(), value });
    }

    fn by_key(&mut self, key: Id, value: Vec<u8>) {
        let key = key.0.to_be_bytes();
        self.append(partition_for(&key, self.partitions), &key, value);
    }

    pub fn event(&mut self, event: &Event<'_>) {
        self.by_key(event.person.unwrap(), framed(event));
    }

    pub fn order_entry(&mut self, entry: &OrderEntry<'_>) {
        let key = millstream_operators::orders::route_id(entry.site, entry.order_id, entry.refund_id).unwrap();
        self.by_key(key, framed(entry));
    }

    /// Into the old person's partition and, where it differs, the new one's.
    pub fn moved(&mut self, moved: &SourceMoved<'_>) {
        let place = |person: Id| partition_for(&person.0.to_be_bytes(), self.partitions);
        let (from, to) = (place(moved.from_person), place(moved.to_person));
        self.append(from, &moved.from_person.0.to_be_bytes(), framed(moved));
        if from != to {
            self.append(to, &moved.to_person.0.to_be_bytes(), framed(moved));
        }
    }

    /// A copy of the shop's settings into every partition.
    pub fn settings(&mut self, body: &str) {
        for partition in 0..self.partitions {
            let control = Control { number: 1, kind: "site_config", site: SITE, effective_at: 0, body };
            self.append(partition, &[], framed(&control));
        }
    }

    pub fn watermark(&mut self, time_ms: i64) {
        for partition in 0..self.partitions {
            self.append(partition, &[], framed(&Watermark { upstream: 0, upstreams: 1, time: time_ms }));
        }
    }

    /// One epoch of up to `most` records of a partition. An aborted one leaves no trace and is done again.
    pub fn epoch(&mut self, partition: u32, most: usize, abort: bool) {
        let at = partition as usize;
        let mut out = Outputs::new();
        let mut count = 0;
        for input in self.log[at].iter().skip(self.next[at]).take(most) {
            self.stages[at].on_record(record(partition, input), &mut out);
            count += 1;
        }
        if abort {
            self.stages[at].undo_epoch();
            return self.epoch(partition, most, false);
        }
        self.stages[at].commit_epoch();
        self.next[at] += count;
        self.collect(&out);
    }

    fn collect(&mut self, out: &Outputs) {
        for append in out.iter() {
            if append.topic == OUT_EVENTS {
                self.append(append.partition, append.key, append.value.to_vec());
            }
            let (key, value) = (append.key.to_vec(), append.value.to_vec());
            self.outputs.push(Output { topic: append.topic, partition: append.partition, key, value });
        }
    }

    /// Runs everything that is there, hand-overs too.
    pub fn drain(&mut self) {
        while (0..self.partitions as usize).any(|at| self.next[at] < self.log[at].len()) {
            for partition in 0..self.partitions {
                self.epoch(partition, usize::MAX, false);
            }
        }
    }

    /// What a warehouse shows: of each key the highest revision, unless it is retracted; without what interleavings may change.
    pub fn view(&self) -> BTreeMap<(u16, Vec<u8>), String> {
        self.view_of(true)
    }

    /// With `owners`, also whose a session is: one that can be amended no more keeps the person it had.
    pub fn view_of(&self, owners: bool) -> BTreeMap<(u16, Vec<u8>), String> {
        let mut newest: BTreeMap<(u16, Vec<u8>), (i64, bool, String)> = BTreeMap::new();
        for output in self.outputs.iter().filter(|output| is_result(output)) {
            let (revision, retracted, text) = comparable(&output.value, owners);
            let known = newest.entry((output.topic, output.key.clone())).or_insert((i64::MIN, false, String::new()));
            assert_ne!(known.0, revision, "one output per key per input record: {text}");
            if revision > known.0 {
                *known = (revision, retracted, text);
            }
        }
        newest.into_iter().filter(|(_, row)| !row.1).map(|(key, row)| (key, row.2)).collect()
    }

    /// What compaction leaves of `profiles.latest`: of each key the last record, unless it is a tombstone.
    pub fn latest_profiles(&self) -> BTreeMap<(u16, Vec<u8>), String> {
        let mut last: BTreeMap<&[u8], &Output> = BTreeMap::new();
        for output in self.outputs.iter().filter(|output| output.topic == OUT_PROFILES_LATEST) {
            last.insert(&output.key, output);
        }
        let living = last.into_values().filter(|output| !output.value.is_empty());
        living.map(|output| ((OUT_PROFILES, output.key.clone()), comparable(&output.value, true).2)).collect()
    }

    pub fn rejected(&self) -> Vec<String> {
        let rows = self.outputs.iter().filter(|output| output.topic == crate::factory::OUT_REJECTED);
        rows.map(|output| {
            let (_, body) = millstream_schemas::frame::split(&output.value).unwrap();
            let row = millstream_schemas::Rejected::decode(body).unwrap();
            format!("{}:{}:{}", row.rejection_id, row.reason, row.payload.len())
        })
        .collect()
    }
}

pub fn record(partition: u32, input: &Input) -> RecordRef<'_> {
    RecordRef { topic: 0, partition, offset: input.offset, timestamp_ms: 1_000, key: &input.key, value: &input.value }
}

fn is_result(output: &Output) -> bool {
    !matches!(output.topic, OUT_EVENTS | OUT_PROFILES_LATEST)
}

/// Revision, whether retracted, and all fields but those that may differ between interleavings.
fn comparable(value: &[u8], owners: bool) -> (i64, bool, String) {
    use millstream_schemas as s;
    let (schema, body) = s::frame::split(value).unwrap();
    macro_rules! row {
        ($kind:ident, $($field:ident),*) => {{
            let row = s::$kind::decode(body).unwrap();
            let (revision, retracted) = (row.revision, row.retracted);
            let row = s::$kind { revision: 0, idempotency_key: Id(0), source_event: "", watermark: 0, $($field: 0,)* ..row };
            (revision, retracted, format!("{row:?}"))
        }};
    }
    macro_rules! of_source {
        ($kind:ident, $($field:ident),*) => {{
            let row = s::$kind::decode(body).unwrap();
            let row = if owners { row } else { s::$kind { person: Id(0), user_id: None, ..row } };
            let (revision, retracted) = (row.revision, row.retracted);
            let row = s::$kind { revision: 0, idempotency_key: Id(0), source_event: "", watermark: 0, $($field: 0,)* ..row };
            (revision, retracted, format!("{row:?}"))
        }};
    }
    match schema {
        s::Session::ID => of_source!(Session, event_time),
        s::Propensity::ID => of_source!(Propensity, event_time, scored_at),
        s::Engagement::ID => of_source!(Engagement,),
        s::Profile::ID => row!(Profile, event_time),
        s::RefundMatch::ID => row!(RefundMatch,),
        s::Attribution::ID => row!(Attribution,),
        s::Churn::ID => row!(Churn, event_time),
        s::Clv::ID => row!(Clv, event_time),
        s::Order::ID => row!(Order,),
        s::OrderLine::ID => row!(OrderLine,),
        s::Refund::ID => row!(Refund,),
        s::RefundLine::ID => row!(RefundLine,),
        s::Rejected::ID => {
            let row = s::Rejected::decode(body).unwrap();
            (row.revision, false, format!("{row:?}"))
        }
        HandOver::ID => panic!("hand-overs are no view"),
        other => panic!("schema {other}"),
    }
}

/// All outputs of one stage over an input, cut into epochs of the given sizes, each aborted first where told.
pub fn replay(partitions: u32, partition: u32, inputs: &[Input], cuts: &[(usize, bool)]) -> Vec<Output> {
    let mut world = World::new(partitions);
    world.log[partition as usize] = inputs.to_vec();
    let mut outputs = Vec::new();
    let mut cuts = cuts.iter().chain(std::iter::repeat(&(usize::MAX, false)));
    let at = partition as usize;
    let mut next = 0;
    while next < inputs.len() {
        let &(most, abort) = cuts.next().unwrap();
        for again in [abort, false].into_iter().skip(usize::from(!abort)) {
            let mut out = Outputs::new();
            for input in inputs.iter().skip(next).take(most.max(1)) {
                world.stages[at].on_record(record(partition, input), &mut out);
            }
            if again {
                world.stages[at].undo_epoch();
                continue;
            }
            world.stages[at].commit_epoch();
            next = (next + most.max(1).min(inputs.len())).min(inputs.len());
            outputs.extend(out.iter().map(|append| Output {
                topic: append.topic,
                partition: append.partition,
                key: append.key.to_vec(),
                value: append.value.to_vec(),
            }));
        }
    }
    outputs
}

/// The factory names what it reads and writes.
#[test]
fn outputs_stand_at_their_indices() {
    let factory = factory(4);
    let names: Vec<String> = factory.outputs().into_iter().map(|spec| spec.name).collect();
    let expected = [
        "sessions",
        "scores.propensity",
        "orders",
        "order.lines",
        "refunds",
        "refund.lines",
        "refund.matches",
        "attribution",
        "scores.churn",
        "clv",
        "scores.engagement",
        "profiles",
        "profiles.latest",
        "events",
        "events.rejected",
        "ledger",
    ];
    assert_eq!(names, expected);
    assert_eq!(factory.inputs()[0].name, "events");
    assert_eq!(factory.name(), "profile");
}
