//! Seeded traffic: tracker events of 672 bytes, 5 % of them up to 5 s out of order.

use millstream_schemas::Collected;
use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_transports::{Append, Appender, partition_for};

/// Bytes of one event's JSON.
pub const PAYLOAD_BYTES: usize = 672;
/// Receive time of the first event.
const START_MS: i64 = 1_790_000_000_000;
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

/// One framed record of `events.collected` and where it goes.
pub struct Collectable {
    pub partition: u32,
    pub timestamp_ms: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub payload: Vec<u8>,
}

/// An endless stream of events.
pub struct Traffic {
    random: u64,
    people: u64,
    partitions: u32,
    number: u64,
    /// While set, every person comes once, so that all are in state.
    introducing: u64,
}

impl Traffic {
    /// Everybody comes once first.
    pub fn new(seed: u64, people: u64, partitions: u32) -> Self {
        Self { random: seed, people, partitions, number: 0, introducing: people }
    }

    /// Goes on with event `number`; everybody has come before.
    pub fn resumed(seed: u64, people: u64, partitions: u32, number: u64) -> Self {
        Self { random: seed, people, partitions, number, introducing: 0 }
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn next_event(&mut self) -> Collectable {
        let number = self.number;
        self.number += 1;
        let person = if self.introducing > 0 {
            self.introducing -= 1;
            self.introducing
        } else {
            self.next_random() % self.people
        };
        // About 2,000 events a second.
        let received_at = START_MS + i64::try_from(number / 2).unwrap_or(0);
        let late_ms =
            if self.next_random() % 100 < 5 { i64::try_from(self.next_random() % 5_000).unwrap_or(0) } else { 0 };
        let roll = self.next_random() % 1_000;
        let product = self.next_random() % 5_000;
        let (kind, group) = match roll {
            0..450 => ("page_view", String::new()),
            450..700 => ("page_ping", r#","ping":{"engaged_ms":10000,"scroll_depth_pct":55}"#.to_owned()),
            700..900 => {
                ("product_view", format!(r#","product":{{"id":"sku-{product}","price":"19.90","currency":"EUR"}}"#))
            }
            900..960 => (
                "add_to_cart",
                format!(r#","product":{{"id":"sku-{product}","price":"19.90","currency":"EUR","quantity":1}}"#),
            ),
            960..985 => ("checkout_step", r#","checkout":{"step":1}"#.to_owned()),
            _ => (
                "purchase",
                format!(
                    r#","order":{{"id":"o-{number}","amount":"39.80","currency":"EUR","lines":[{{"product_id":"sku-{product}","quantity":2,"price":"19.90"}}]}}"#
                ),
            ),
        };
        let device = format!("dev-{person:012}");
        let mut payload = format!(
            r#"{{"id":"{number:016x}","type":"{kind}","time":{},"sequence":{number},"device":"{device}","session":"s-{person}","language":"en-GB","page":{{"url":"https://shop.example/category/shoes/sku-{product}?utm_source=newsletter&utm_medium=email","title":"Running shoes for every day","referrer":"https://www.google.com/"}}{group},"properties":{{"pad":""#,
            received_at - late_ms
        )
        .into_bytes();
        payload.resize(PAYLOAD_BYTES.max(payload.len() + 3) - 3, b'x');
        payload.extend_from_slice(br#""}}"#);
        let mut key = Vec::new();
        input_key("shop", InputIdentity { device: Some(&device), ..InputIdentity::default() }, &mut key);
        let mut value = Vec::with_capacity(payload.len() + 200);
        let collected = Collected {
            site: "shop",
            origin: "http",
            received_at,
            sent_at: Some(received_at),
            data_set: None,
            file: None,
            line: None,
            user_agent: Some(USER_AGENT),
            ip: None,
            global_privacy_control: false,
            payload: &payload,
        };
        collected.encode_framed(Collected::ID, &mut value);
        Collectable { partition: partition_for(&key, self.partitions), timestamp_ms: received_at, key, value, payload }
    }
}

/// Appends a round of events.
pub fn append(appender: &dyn Appender, round: &[Collectable]) {
    let records: Vec<Append<'_>> = round
        .iter()
        .map(|event| Append {
            topic: 0,
            partition: event.partition,
            timestamp_ms: event.timestamp_ms,
            key: &event.key,
            value: &event.value,
        })
        .collect();
    for chunk in records.chunks(1_000) {
        appender
            .append(chunk, Box::new(|result| result.expect("the in-memory log takes every record")))
            .expect("there is room");
    }
}
