//! Runs the profile stage over events of many people and says what its state weighs.
//!
//! `cargo run --release -p millstream-profile --example throughput -- PEOPLE EVENTS MINUTES [process]`
//!
//! It has no clock, like the crate it belongs to: measure it from outside, once with `process` and once without; the difference is
//! the stage's.

use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::{Event, Id, Watermark};
use millstream_transports::{RecordRef, Retention, TopicSpec};

/// Records of an epoch.
const EPOCH: u64 = 4_000;

/// A small generator of our own: the same numbers on every machine.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (people, events, minutes): (u64, u64, u64) = (number(1_000_000), number(4_000_000), number(60));
    let process = std::env::args().any(|argument| argument == "process");
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever });
    let mut stage = ProfileFactory::new(ProfileConfig::new(topics)).stage(0);
    let (mut out, mut random) = (Outputs::new(), 0x9e37_79b9_7f4a_7c15u64);
    let (mut value, mut written) = (Vec::new(), 0usize);
    let kinds = ["page_view", "page_ping", "product_view", "page_ping", "search", "click", "page_view", "add_to_cart"];
    for offset in 0..events {
        let person = u128::from(next(&mut random) % people).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        // So many minutes in all; one in twenty comes up to five seconds late.
        let mut time_ms = 1_700_000_000_000 + (offset * minutes * 60_000 / events) as i64;
        let late = next(&mut random);
        if late.is_multiple_of(20) {
            time_ms -= (late >> 8) as i64 % 5_000;
        }
        let event_id = format!("{:032x}", u128::from(next(&mut random)) << 64 | u128::from(offset));
        let (device, page) =
            (format!("device-{:028x}", person as u64), format!("https://shop.example/product/{}", late % 5_000));
        let kind = kinds[(next(&mut random) % 8) as usize];
        value.clear();
        Event {
            site: "shop",
            event_id: &event_id,
            event_type: kind,
            event_time: time_ms,
            received_at: time_ms,
            time_quality: "corrected",
            sequence: Some(offset as i64),
            consent: 15,
            origin: "http",
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
            language: Some("en"),
            country: Some("GB"),
            ..Event::default()
        }
        .encode_framed(Event::ID, &mut value);
        if process {
            feed(&mut stage, offset * 2, time_ms, &value, &mut out);
        }
        if offset % EPOCH == EPOCH - 1 {
            value.clear();
            Watermark { upstream: 0, upstreams: 1, time: time_ms - 6_000 }.encode_framed(Watermark::ID, &mut value);
            if process {
                feed(&mut stage, offset * 2 + 1, time_ms, &value, &mut out);
                stage.commit_epoch();
            }
            written += out.size_bytes();
            out.clear();
        }
    }
    let everybody = (0..people).map(|n| Id(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)));
    let used = stage.memory_use(everybody);
    let each = |bytes: usize| bytes / used.persons.max(1);
    let lines = [
        format!("{events} events, {} persons held, {written} bytes written", used.persons),
        format!(
            "bytes a person: entries {}, sessions {}, purchases {}, timers {}, in all {}",
            each(used.entries),
            each(used.sessions),
            each(used.purchases),
            each(used.timers),
            each(used.total())
        ),
    ];
    for line in lines {
        // The only thing it has to say; there is no other way out of an example.
        #[expect(clippy::print_stdout, reason = "an example's output")]
        {
            println!("{line}");
        }
    }
}

fn feed(stage: &mut impl Stage, offset: u64, timestamp_ms: i64, value: &[u8], out: &mut Outputs) {
    stage.on_record(RecordRef { topic: 0, partition: 0, offset, timestamp_ms, key: &[], value }, out);
}
