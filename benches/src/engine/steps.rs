//! Each stage alone, without log or epochs: what the whole is made of.

use std::hint::black_box;

use millstream_ingest::{IngestFactory, OUT_EVENTS};
use millstream_profile::ProfileFactory;
use millstream_runtime::{Outputs, Stage, WARM_RECORDS};
use millstream_schemas::input::parse_event;
use millstream_transports::RecordRef;

use crate::traffic::{Collectable, Traffic};
use crate::{Options, cpu, whole};

/// CPU nanoseconds an event.
#[derive(Default)]
pub struct Steps {
    pub parse_ns: u64,
    pub ingest_ns: u64,
    pub profile_ns: u64,
}

/// Events between two commits, as in an epoch of a busy worker.
const EPOCH: usize = 2_000;

pub fn measure(options: &Options) -> Steps {
    let mut traffic = Traffic::new(options.seed, options.people, 1);
    let (ingest, profile) = whole::factories(1, options.heuristic);
    let mut stages = Stages::new(&ingest, &profile);
    let mut left = options.people;
    while left > 0 {
        let round: Vec<Collectable> = (0..left.min(whole::ROUND)).map(|_| traffic.next_event()).collect();
        left -= round.len() as u64;
        stages.run(&round);
    }
    let sample = options.events.min(500_000);
    let (mut parse, mut before) = (0, stages.spent());
    let mut done = 0;
    while done < sample {
        let round: Vec<Collectable> = (0..whole::ROUND).map(|_| traffic.next_event()).collect();
        parse += cpu::of(|| {
            for event in &round {
                let _ = black_box(parse_event(&event.payload));
            }
        })
        .1;
        stages.run(&round);
        done += round.len() as u64;
    }
    let after = stages.spent();
    before = (after.0 - before.0, after.1 - before.1);
    Steps { parse_ns: parse / done, ingest_ns: before.0 / done, profile_ns: before.1 / done }
}

struct Stages {
    ingest: Box<dyn Stage>,
    profile: Box<dyn Stage>,
    middle: Outputs,
    end: Outputs,
    collected_offset: u64,
    events_offset: u64,
    ingest_ns: u64,
    profile_ns: u64,
}

impl Stages {
    fn new(ingest: &IngestFactory, profile: &ProfileFactory) -> Self {
        Self {
            ingest: Box::new(ingest.stage(0)),
            profile: Box::new(profile.stage(0)),
            middle: Outputs::new(),
            end: Outputs::new(),
            collected_offset: 0,
            events_offset: 0,
            ingest_ns: 0,
            profile_ns: 0,
        }
    }

    fn spent(&self) -> (u64, u64) {
        (self.ingest_ns, self.profile_ns)
    }

    fn run(&mut self, round: &[Collectable]) {
        for epoch in round.chunks(EPOCH) {
            self.middle.clear();
            self.end.clear();
            self.ingest_ns += cpu::of(|| {
                let records = epoch.iter().zip(self.collected_offset..).map(|(event, offset)| RecordRef {
                    topic: 0,
                    partition: 0,
                    offset,
                    timestamp_ms: event.timestamp_ms,
                    key: &event.key,
                    value: &event.value,
                });
                self.collected_offset += process(&mut *self.ingest, records, &mut self.middle);
                self.ingest.commit_epoch();
            })
            .1;
            self.profile_ns += cpu::of(|| {
                let events = self.middle.iter().filter(|append| append.topic == OUT_EVENTS);
                let records = events.zip(self.events_offset..).map(|(append, offset)| RecordRef {
                    topic: 0,
                    partition: 0,
                    offset,
                    timestamp_ms: append.timestamp_ms,
                    key: append.key,
                    value: append.value,
                });
                self.events_offset += process(&mut *self.profile, records, &mut self.end);
                self.profile.commit_epoch();
            })
            .1;
        }
    }
}

/// What a worker does with its stage; returns how many records there were.
fn process<'a>(stage: &mut dyn Stage, mut records: impl Iterator<Item = RecordRef<'a>>, out: &mut Outputs) -> u64 {
    let (mut next, mut count) = (Vec::with_capacity(WARM_RECORDS), 0);
    loop {
        next.clear();
        next.extend(records.by_ref().take(WARM_RECORDS));
        if next.is_empty() {
            return count;
        }
        stage.warm(&next);
        for record in &next {
            stage.on_record(*record, out);
            count += 1;
        }
    }
}
