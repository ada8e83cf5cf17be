//! How long it takes to write people into a snapshot and to take them in again, and what they weigh there: while their visits are open,
//! and at rest, when all that is left of a visit is its summary.
//!
//! `cargo run --release -p millstream-profile --example snapshot -- PEOPLE`

use std::time::Duration;

use millstream_profile::{ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};
use millstream_runtime::{Clock, Entries, Outputs, RestoreError, SnapshotState, Stage, SystemClock};
use millstream_schemas::{Event, Id, Watermark};
use millstream_transports::{RecordRef, Retention, TopicSpec};

/// Records of an epoch.
const EPOCH: u64 = 4_000;
const START_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn stage() -> ProfileStage {
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever });
    let mut stage = ProfileFactory::new(ProfileConfig::new(topics)).stage(0);
    stage.track();
    stage
}

/// Feeds one record; an epoch ends now and then.
fn feed(stage: &mut ProfileStage, out: &mut Outputs, offset: u64, value: &[u8]) {
    stage.on_record(RecordRef { topic: 0, partition: 0, offset, timestamp_ms: START_MS, key: &[], value }, out);
    if offset % EPOCH == EPOCH - 1 {
        stage.commit_epoch();
        out.clear();
    }
}

/// One visit of two events each.
fn visit(stage: &mut ProfileStage, people: u64) -> u64 {
    let (mut out, mut value, mut offset) = (Outputs::new(), Vec::new(), 0);
    for (turn, kind) in ["page_view", "product_view"].into_iter().enumerate() {
        for number in 0..people {
            let person = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let event_id = format!("{:032x}", person.rotate_left(turn as u32 + 1));
            let (device, page) =
                (format!("device-{number:028x}"), format!("https://shop.example/product/{}", number % 5_000));
            let time_ms = START_MS + (turn as i64 * 60_000) + (number % 60_000) as i64;
            value.clear();
            Event {
                site: "shop",
                event_id: &event_id,
                event_type: kind,
                event_time: time_ms,
                received_at: time_ms,
                sequence: Some(offset as i64),
                consent: 15,
                device_id: Some(&device),
                source: Some(Id(person ^ 1)),
                person: Some(Id(person)),
                page_view_id: Some(&event_id),
                page_url: Some(&page),
                page_referrer: Some("https://www.search.example/"),
                channel: "organic_search",
                device_class: "mobile",
                os: "ios",
                browser: "safari",
                country: Some("GB"),
                ..Event::default()
            }
            .encode_framed(Event::ID, &mut value);
            feed(stage, &mut out, offset, &value);
            offset += 1;
        }
    }
    stage.commit_epoch();
    offset
}

/// Time passes until nothing can be amended and no touch is waited for.
fn rest(stage: &mut ProfileStage, people: u64, mut offset: u64) {
    let mut out = Outputs::new();
    for days in [2, 120] {
        // A watermark fires a bounded number of timers; the rest with those that follow.
        for _ in 0..people / 5_000 + 3 {
            let mut value = Vec::new();
            let time = START_MS + days * DAY_MS;
            Watermark { upstream: 0, upstreams: 1, time }.encode_framed(Watermark::ID, &mut value);
            feed(stage, &mut out, offset, &value);
            stage.commit_epoch();
            out.clear();
            offset += 1;
        }
    }
}

/// Writes a snapshot of everything and takes it in again.
fn measure(stage: &mut ProfileStage, what: &str) -> Result<(), RestoreError> {
    let clock = SystemClock::new();
    let mut entries = Entries::new();
    let (mut slices, mut longest, mut written) = (0, Duration::ZERO, Duration::ZERO);
    stage.begin();
    loop {
        // As the runtime does, a slice at a time; but one after the other.
        let (from, mut slice) = (clock.monotonic(), Entries::new());
        let is_done = stage.write(&mut slice);
        let spent = clock.monotonic() - from;
        (longest, written) = (longest.max(spent), written + spent);
        slices += 1;
        for (section, key, value) in slice.iter() {
            if let Some(value) = value {
                entries.push(section, key, |bytes| bytes.extend_from_slice(value));
            }
        }
        if is_done {
            break;
        }
    }
    stage.end(true);
    let mut again = self::stage();
    let begun = clock.monotonic();
    for (section, key, value) in entries.iter() {
        again.restore(section, key, value.unwrap_or_default())?;
    }
    again.restored()?;
    let restored = clock.monotonic() - begun;
    let persons = again.counts().persons.max(1);
    let each = |time: Duration| time.as_nanos() / persons as u128;
    say(&format!(
        "{what}: {persons} persons, {} bytes each; written in {} ns each ({slices} slices, the longest {:.1} ms), taken in in {} ns each",
        entries.size_bytes() / persons,
        each(written),
        longest.as_secs_f64() * 1_000.0,
        each(restored),
    ));
    Ok(())
}

/// The only thing it has to say; there is no other way out of an example.
#[expect(clippy::print_stdout, reason = "an example's output")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> Result<(), RestoreError> {
    let people = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut stage = stage();
    let offset = visit(&mut stage, people);
    measure(&mut stage, "visits open")?;
    rest(&mut stage, people, offset);
    measure(&mut stage, "at rest")
}
