//! Tracker batches.

use std::fmt::Write;

/// One request's body and the ids in it.
pub struct Request {
    /// JSON.
    pub body: String,
    /// Ids of its events, in order.
    pub ids: Vec<String>,
}

impl Request {
    /// `batch` events of one of `people` devices. Every second one is informative (a product view), the others are pings.
    pub fn new(batch: u64, people: u64, label: &str, number: u64) -> Self {
        // A multiplicative hash spreads devices evenly and repeatably.
        let device = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % people;
        let mut body = String::from(r#"{"events":["#);
        let mut ids = Vec::new();
        for at in 0..batch {
            let id = format!("{label}-{number}-{at}");
            let separator = if at == 0 { "" } else { "," };
            let page = r#""page":{"url":"https://shop.example/category/shoes?utm_source=newsletter&utm_medium=email","title":"Running shoes"}"#;
            let rest = if at % 2 == 0 {
                r#""type":"product_view","product":{"id":"sku-1","price":"19.90","currency":"EUR"}"#
            } else {
                r#""type":"page_ping","ping":{"engaged_ms":10000,"scroll_depth_pct":55}"#
            };
            write!(body, r#"{separator}{{"id":"{id}","device":"dev-{device}",{page},{rest}}}"#)
                .expect("a string takes it");
            ids.push(id);
        }
        body.push_str("]}");
        Self { body, ids }
    }

    /// The ids of informative events, which are scored.
    pub fn informative(&self) -> impl Iterator<Item = &String> {
        self.ids.iter().step_by(2)
    }
}
