//! What happens to events on their way, and who else is there.

use crate::config::{HOUR_MS, SimConfig};
use crate::content::{Made, Recorder};
use crate::delivery::Delivery;
use crate::person::{Device, Person};
use crate::random::{Random, hash};

const ROBOT: u64 = 0x0072_6f62;

/// What became of an event on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    InTime,
    OutOfOrder,
    Late,
}

/// Sends an event: when it arrives, and what happened on the way.
pub(crate) fn send(config: &SimConfig, made: Made, clock_off_ms: i64, random: &mut Random) -> (Delivery, Way) {
    let mut sent_ms = made.time_ms + random.between(1, 60);
    let mut way = Way::InTime;
    if config.noise {
        if random.chance(1_000) {
            way = Way::Late;
            sent_ms += random.between(HOUR_MS, 20 * HOUR_MS);
        } else if random.chance(50_000) {
            way = Way::OutOfOrder;
            sent_ms += random.between(500, 4_500);
        }
    }
    let arrives_ms = sent_ms + random.between(20, 400);
    (Delivery { arrives_ms, sent_at_ms: sent_ms + clock_off_ms, json: made.json, well_formed: true }, way)
}

/// Now and then the same event is sent again.
pub(crate) fn duplicate(config: &SimConfig, delivery: &Delivery, random: &mut Random) -> Option<Delivery> {
    (config.noise && random.chance(5_000)).then(|| {
        let wait_ms = random.between(1_000, 60_000);
        Delivery {
            arrives_ms: delivery.arrives_ms + wait_ms,
            sent_at_ms: delivery.sent_at_ms + wait_ms,
            ..delivery.clone()
        }
    })
}

/// Now and then something is sent that must be refused: a copy of an event under an id of its own, damaged. With it comes the reason.
pub(crate) fn bad_input(
    config: &SimConfig,
    delivery: &Delivery,
    random: &mut Random,
) -> Option<(Delivery, &'static str)> {
    if !(config.noise && random.chance(2_000)) {
        return None;
    }
    let json = &delivery.json;
    // The id is the first member: `{"id":"…",`.
    let id_end = json.windows(2).position(|pair| pair == b"\",")?;
    let rest = json.get(id_end + 2..)?;
    let with = |first: &str| {
        let mut bytes = format!("{{\"id\":\"bad-{:016x}\",{first}", random.clone().next()).into_bytes();
        bytes.extend_from_slice(rest);
        bytes
    };
    let (json, reason) = match random.clone().below(6) {
        0 => (json.get(..json.len() / 2)?.to_vec(), "invalid_json"),
        1 => (with("\"checkout\":{\"step\":\"two\"},"), "wrong_type"),
        2 => (with("\"spend\":{\"amount\":-5},"), "negative_amount"),
        3 => (
            with("\"properties\":{\"x\":\"\u{1}\"},").into_iter().map(|b| if b == 1 { 0xff } else { b }).collect(),
            "invalid_utf8",
        ),
        4 => {
            let mut bytes = b"{".to_vec();
            bytes.extend_from_slice(rest);
            (bytes, "missing_field")
        }
        _ => {
            let unknown = String::from_utf8_lossy(&with("")).replacen("\"type\":\"", "\"type\":\"un", 1).into_bytes();
            (unknown, "unknown_event_type")
        }
    };
    random.next();
    let well_formed = reason != "invalid_json";
    Some((Delivery { json, well_formed, ..delivery.clone() }, reason))
}

/// How many robots come on a day.
pub(crate) fn robots(config: &SimConfig) -> u32 {
    if config.noise { 1 + config.people / 400 } else { 0 }
}

/// A robot's visit: many pages, fast. Three of four say who they are.
pub(crate) fn robot(config: &SimConfig, number: u32, start_ms: i64) -> (Vec<Made>, bool) {
    let mut random = Random::of(&[config.seed, ROBOT, u64::from(number), start_ms as u64]);
    let declared = number % 4 != 3;
    let device = Device {
        id: format!("{:016x}", hash(&[config.seed, ROBOT, u64::from(number)])),
        user_agent: if declared {
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
        } else {
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
        },
        mobile: false,
        viewport: "1024x768",
        clock_off_ms: 0,
    };
    let person = Person::of(config.seed, config.people.saturating_add(number));
    // Sessions of a robot are told apart by the day.
    let session = ((start_ms - config.start_ms) / crate::config::DAY_MS) as u16;
    let mut recorder = Recorder::new(config, &person, &device, session);
    let mut time_ms = start_ms;
    for page in 0..random.between(8, 60) {
        recorder.open(format!("/p/P{:05}", random.below(crate::catalogue::PRODUCTS)), format!("Page {page}"), Some(""));
        recorder.record("page_view", time_ms, |_| {});
        time_ms += random.between(150, 900);
    }
    (recorder.events, declared)
}
