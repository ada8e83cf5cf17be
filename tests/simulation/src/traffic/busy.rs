//! The busy shop: few devices and users, so that they meet.

use serde_json::{Map, Value, json};

use super::{Expected, Sent};
use crate::random::Random;

const DEVICES: u64 = 5;
const USERS: u64 = 3;
const ORDERS: u64 = 12;
const MINUTE_MS: i64 = 60_000;

/// Makes events; counts them, so that each has an id of its own.
pub(super) struct Busy {
    made: u64,
    /// Every event carries so much more.
    ballast_bytes: usize,
}

impl Busy {
    pub(super) fn new(ballast_bytes: usize) -> Self {
        Self { made: 0, ballast_bytes }
    }

    /// The next event, of about now.
    pub(super) fn next(&mut self, random: &mut Random, now_ms: i64) -> Sent {
        self.made += 1;
        let id = format!("e{:05}", self.made);
        let device = random.below(DEVICES);
        let time_ms = now_ms - delay_ms(random);
        // Device 4's clock is a day ahead, device 3 does not say when it sends.
        let clock_off_ms = match device {
            4 => Some(86_400_000),
            3 => None,
            _ => Some(0),
        };
        let mut event = Map::new();
        event.insert("id".into(), json!(id));
        event.insert("time".into(), json!(time_ms + clock_off_ms.unwrap_or(0)));
        event.insert("sequence".into(), json!(self.made));
        let by_server = random.permille(60);
        if by_server {
            event.insert("user".into(), json!(format!("u{}", random.below(USERS))));
        } else if !random.permille(15) {
            event.insert("device".into(), json!(format!("d{device}")));
            event.insert("session".into(), json!(format!("d{device}-{}", time_ms / (40 * MINUTE_MS))));
        }
        self.fill(&mut event, random, by_server);
        if self.ballast_bytes > 0 {
            event.insert("properties".into(), json!({ "ballast": "b".repeat(self.ballast_bytes) }));
        }
        let mut expected = Expected::Processed;
        if random.permille(20) {
            // Refused by its content, not by its envelope.
            event.insert("type".into(), json!("teleport"));
            expected = Expected::Rejected;
        } else if event.contains_key("device") && random.permille(15) {
            event.insert("consent".into(), json!([]));
            expected = Expected::Either;
        }
        if device == 2 {
            // This visitor answers the banner, now so, now so.
            expected = match expected {
                Expected::Processed => Expected::Either,
                other => other,
            };
            if event.contains_key("device") && random.permille(150) && expected == Expected::Either {
                let said = if random.permille(400) { json!([]) } else { json!(["analytics", "personalization"]) };
                event.insert("type".into(), json!("consent"));
                event.insert("consent".into(), said);
            }
        }
        Sent { id, json: Value::Object(event).to_string().into_bytes(), clock_off_ms, expected }
    }

    fn fill(&self, event: &mut Map<String, Value>, random: &mut Random, by_server: bool) {
        let order = format!("o{}", random.below(ORDERS));
        let product =
            || json!({ "id": format!("p{}", self.made % 4), "price": "9.90", "currency": "EUR", "quantity": 2 });
        let what = random.weighted(&[60, 25, 15, 20, 22, 12, if by_server { 0 } else { 18 }, 10]);
        let more = match what {
            0 => {
                let page = random.below(4);
                let tags = [
                    "",
                    "?utm_source=news&utm_medium=email",
                    "?utm_source=s&utm_medium=cpc&utm_campaign=spring",
                    "?gclid=x1",
                ];
                json!({ "type": "page_view", "page": { "url": format!("https://shop.example/{page}{}", random.pick(&tags)) } })
            }
            1 => json!({ "type": "product_view", "product": product() }),
            2 => json!({ "type": "add_to_cart", "product": product() }),
            3 => json!({ "type": "page_ping", "ping": { "engaged_ms": 9_000, "scroll_depth_pct": self.made % 101 } }),
            4 => json!({ "type": "purchase", "order": {
                "id": order, "amount": format!("{}.50", 1 + self.made % 90), "currency": "EUR",
                "lines": (0..=self.made % 3).map(|line| json!({
                    "product_id": format!("p{line}"), "quantity": 1 + line, "price": "3.10",
                })).collect::<Vec<_>>(),
            } }),
            5 => {
                let of = if random.permille(700) { json!(order) } else { Value::Null };
                json!({ "type": "refund", "refund": {
                    "id": format!("r{}", self.made), "order_id": of, "amount": "1.25", "currency": "EUR",
                    "lines": [{ "product_id": "p0", "quantity": 1, "price": "1.25" }],
                } })
            }
            6 => json!({ "type": "identify", "user": format!("u{}", random.below(USERS)) }),
            _ => json!({ "type": "logout" }),
        };
        if let Value::Object(more) = more {
            event.extend(more);
        }
    }
}

/// Mostly at once, often late, now and then too late for every horizon.
fn delay_ms(random: &mut Random) -> i64 {
    match random.weighted(&[60, 25, 12, 3]) {
        0 => random.between(0, 5_000),
        1 => random.between(5_000, 20 * MINUTE_MS),
        2 => random.between(20 * MINUTE_MS, 170 * MINUTE_MS),
        _ => random.between(190 * MINUTE_MS, 600 * MINUTE_MS),
    }
}
