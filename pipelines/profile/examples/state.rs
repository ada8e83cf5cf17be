//! What a person's state weighs on the simulated shop's traffic, itemised by operator: while the shop is open, and at rest.
//!
//! `cargo run --release -p millstream-profile --example state -- PEOPLE DAYS SEED`

use std::collections::BTreeSet;

use millstream_ingest::{IngestConfig, IngestFactory, IngestStage, IngestTopics, OUT_EVENTS as INGESTED};
use millstream_operators::person::MemoryUse;
use millstream_profile::factory::OUT_EVENTS;
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::{Collected, Event, Id, Tick, frame};
use millstream_simulator::{SimConfig, Simulator};
use millstream_transports::{RecordRef, Retention, TopicSpec};

const DAY_MS: i64 = 86_400_000;
/// Deliveries between two commits.
const EPOCH: usize = 2_000;

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever }
}

/// Both stages over one partition. What profile writes to `events` it reads again.
struct Shop {
    ingest: IngestStage,
    profile: ProfileStage,
    ingested: Outputs,
    results: Outputs,
    collected_offset: u64,
    events_offset: u64,
    persons: BTreeSet<Id>,
    events: u64,
}

impl Shop {
    fn new() -> Self {
        let topics = IngestTopics {
            collected: spec("events.collected"),
            events: spec("events"),
            rejected: spec("events.rejected"),
            identity: spec("identity"),
            ledger: spec("ledger"),
        };
        let profile = ProfileFactory::new(ProfileConfig::new(ProfileTopics::of(spec)));
        Self {
            ingest: IngestFactory::new(IngestConfig::new(topics)).stage(0),
            profile: profile.stage(0),
            ingested: Outputs::new(),
            results: Outputs::new(),
            collected_offset: 0,
            events_offset: 0,
            persons: BTreeSet::new(),
            events: 0,
        }
    }

    fn collect(&mut self, timestamp_ms: i64, value: &[u8]) {
        let offset = self.collected_offset;
        self.collected_offset += 1;
        let record = RecordRef { topic: 0, partition: 0, offset, timestamp_ms, key: &[], value };
        self.ingest.on_record(record, &mut self.ingested);
    }

    /// Ends an epoch: profile reads what ingest wrote, then what itself wrote to `events`, until nothing is left.
    fn commit(&mut self) {
        self.ingest.commit_epoch();
        let mut input = std::mem::take(&mut self.ingested);
        let mut from = INGESTED;
        while input.iter().any(|append| append.topic == from) {
            for append in input.iter().filter(|append| append.topic == from) {
                if let Ok((Event::ID, body)) = frame::split(append.value)
                    && let Ok(event) = Event::decode(body)
                {
                    self.events += 1;
                    self.persons.extend(event.person);
                }
                let (offset, timestamp_ms) = (self.events_offset, append.timestamp_ms);
                self.events_offset += 1;
                let record =
                    RecordRef { topic: 0, partition: 0, offset, timestamp_ms, key: append.key, value: append.value };
                self.profile.on_record(record, &mut self.results);
            }
            self.profile.commit_epoch();
            input = std::mem::take(&mut self.results);
            from = OUT_EVENTS;
        }
    }

    fn print(&self, when: &str) {
        let used = self.profile.memory_use(self.persons.iter().copied());
        say(&format!("{when}: {} persons, bytes a person {}", used.persons, each(&used, used.total())));
        for (item, bytes) in [
            ("entry, sources", used.entries),
            ("sessions", used.sessions),
            ("visits", used.visits),
            ("touches", used.touches),
            ("orders, refunds", used.orders),
            ("churn, value", used.scores),
            ("purchases that follow a source", used.purchases),
            ("timers", used.timers),
            ("held records", used.held),
        ] {
            say(&format!("  {item:<32} {:>8}", each(&used, bytes)));
        }
    }
}

fn each(used: &MemoryUse, bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / used.persons.max(1) as f64)
}

/// The only thing it has to say; there is no other way out of an example.
#[expect(clippy::print_stdout, reason = "an example's output")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (people, days, seed) = (u32::try_from(number(20_000))?, u32::try_from(number(30))?, number(7));
    let config = SimConfig { people, days, seed, keep_truth: false, ..SimConfig::default() };
    let (site, end_ms) = (config.site.clone(), config.start_ms + i64::from(days) * DAY_MS);
    let mut shop = Shop::new();
    let mut value = Vec::new();
    for (at, delivery) in Simulator::new(config)?.enumerate() {
        value.clear();
        Collected {
            site: &site,
            origin: "http",
            received_at: delivery.arrives_ms,
            sent_at: Some(delivery.sent_at_ms),
            payload: &delivery.json,
            ..Collected::default()
        }
        .encode_framed(Collected::ID, &mut value);
        shop.collect(delivery.arrives_ms, &value);
        if at % EPOCH == EPOCH - 1 {
            shop.commit();
        }
    }
    shop.commit();
    say(&format!("{people} simulated people, {days} days, seed {seed}: {} events", shop.events));
    shop.print("as the shop closes");
    // A week in which nobody comes: nothing can be amended any more.
    for day in 1..=7 {
        value.clear();
        Tick { origin: "live", time: end_ms + day * DAY_MS }.encode_framed(Tick::ID, &mut value);
        shop.collect(end_ms + day * DAY_MS, &value);
        shop.commit();
    }
    shop.print("at rest, a week later");
    Ok(())
}
