//! Random traffic of a few devices within the horizon, with everything that makes order matter.

use millstream_tests::topology::CollectedEvent;
use proptest::prelude::*;
use serde_json::{Value, json};

pub const PARTITIONS: u32 = 3;
/// Receive time of the first event.
const START_MS: i64 = 1_790_000_000_000;
const MINUTE_MS: i64 = 60_000;
/// After every event and every timer.
pub const END_MS: i64 = START_MS + 40 * 60 * MINUTE_MS;

/// One event of a device.
#[derive(Debug, Clone)]
pub struct Happening {
    pub device: u8,
    /// Minutes before `END` by the device's clock.
    minute: u16,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Page(u8),
    Product,
    Cart,
    Ping,
    Purchase(u8),
    Refund(Option<u8>),
    Identify(u8),
    Logout,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => (0..4u8).prop_map(What::Page),
        3 => Just(What::Product),
        2 => Just(What::Cart),
        2 => Just(What::Ping),
        2 => (0..4u8).prop_map(What::Purchase),
        1 => prop::option::of(0..4u8).prop_map(What::Refund),
        2 => (0..3u8).prop_map(What::Identify),
        1 => Just(What::Logout),
    ]
}

/// Up to `most` happenings of four devices over ten hours.
pub fn happenings(most: usize) -> impl Strategy<Value = Vec<Happening>> {
    let one = (0..4u8, 0..600u16, what()).prop_map(|(device, minute, what)| Happening { device, minute, what });
    prop::collection::vec(one, 1..most)
}

impl Happening {
    /// Whether other events of the device may not cross it: what a login or logout means depends on its place.
    pub fn is_barrier(&self) -> bool {
        matches!(self.what, What::Identify(_) | What::Logout)
    }

    /// The event number `number` as collect would write it. All are received within the horizon of when they happened.
    pub fn collected(&self, number: usize) -> CollectedEvent {
        let time_ms = START_MS + i64::from(self.minute) * MINUTE_MS;
        let received_at = START_MS + 600 * MINUTE_MS + i64::try_from(number).unwrap() * 1_000;
        let device = format!("d{}", self.device);
        let mut event = json!({ "id": format!("e{number:04}"), "device": device, "time": time_ms, "sequence": number });
        let more = match &self.what {
            What::Page(page) => {
                json!({ "type": "page_view", "page": { "url": format!("https://shop.example/{page}?utm_source=s{page}&utm_medium=email") } })
            }
            What::Product => {
                json!({ "type": "product_view", "product": { "id": "p1", "price": "9.90", "currency": "EUR" } })
            }
            What::Cart => {
                json!({ "type": "add_to_cart", "product": { "id": "p1", "price": "9.90", "currency": "EUR", "quantity": 2 } })
            }
            What::Ping => {
                json!({ "type": "page_ping", "ping": { "engaged_ms": 10_000, "scroll_depth_pct": self.minute % 101 } })
            }
            What::Purchase(order) => json!({ "type": "purchase", "order": {
                "id": format!("o{order}"), "amount": format!("{}.50", number + 1), "currency": "EUR",
                "lines": (0..=(number % 3)).map(|line| json!({ "product_id": format!("p{line}"), "quantity": 1 + line, "price": "3.10" })).collect::<Vec<_>>(),
            } }),
            What::Refund(order) => json!({ "type": "refund", "refund": {
                "id": format!("r{number}"), "order_id": order.map(|order| format!("o{order}")), "amount": "1.25", "currency": "EUR",
                "lines": [{ "product_id": "p0", "quantity": 1, "price": "1.25" }],
            } }),
            What::Identify(user) => json!({ "type": "identify", "user": format!("u{user}") }),
            What::Logout => json!({ "type": "logout" }),
        };
        let Value::Object(more) = more else { unreachable!() };
        event.as_object_mut().unwrap().extend(more);
        CollectedEvent { device, received_at, payload: event.to_string() }
    }
}

/// The events in the order of their numbers.
pub fn in_order(happenings: &[Happening]) -> Vec<CollectedEvent> {
    happenings.iter().enumerate().map(|(number, happening)| happening.collected(number)).collect()
}

/// Another interleaving of the same events: devices against each other at will, a device's own events within the stretches that
/// its logins and logouts bound. `keys` decide.
pub fn shuffled(happenings: &[Happening], keys: &[u64]) -> Vec<CollectedEvent> {
    let key = |number: usize| keys[number % keys.len()].rotate_left(u32::try_from(number % 64).unwrap());
    let mut order: Vec<usize> = (0..happenings.len()).collect();
    order.sort_by_key(|&number| key(number));
    // Each device's numbers, with the order inside its stretches taken from the shuffle.
    let mut queues: Vec<std::collections::VecDeque<usize>> = Vec::new();
    for device in 0..4 {
        let mut stretch = 0;
        let mut staged: Vec<(usize, u64, usize)> = Vec::new();
        for (number, happening) in happenings.iter().enumerate().filter(|(_, happening)| happening.device == device) {
            if happening.is_barrier() {
                staged.push((stretch + 1, 0, number));
                stretch += 2;
            } else {
                staged.push((stretch, key(number), number));
            }
        }
        staged.sort_unstable();
        queues.push(staged.into_iter().map(|(_, _, number)| number).collect());
    }
    order
        .into_iter()
        .filter_map(|slot| queues[usize::from(happenings[slot].device)].pop_front())
        .map(|number| happenings[number].collected(number))
        .collect()
}
