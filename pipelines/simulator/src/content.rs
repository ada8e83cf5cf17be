//! What the events of a session say.

use crate::catalogue::Product;
use crate::config::SimConfig;
use crate::json::Object;
use crate::person::{Device, Person};
use crate::random::hash;

/// An event that happened.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// When it truly happened.
    pub(crate) time_ms: i64,
    pub(crate) event_type: &'static str,
    pub(crate) json: Vec<u8>,
}

/// The page that is being looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    path: String,
    title: String,
    referrer: String,
    view: u64,
}

/// Writes a session's events down, as the tracker on the device does.
pub(crate) struct Recorder<'a> {
    config: &'a SimConfig,
    person: &'a Person,
    device: &'a Device,
    /// What the ids of the session's events are made of.
    key: u64,
    /// Number of the session among the person's.
    session_number: u16,
    /// The tracker's session id.
    pub(crate) session: String,
    /// Who is logged in.
    pub(crate) user: Option<String>,
    page: Page,
    /// What has been written.
    pub(crate) events: Vec<Made>,
}

/// Sequence numbers that a session may use.
const SEQUENCES: i64 = 1_000;

impl<'a> Recorder<'a> {
    pub(crate) fn new(config: &'a SimConfig, person: &'a Person, device: &'a Device, session_number: u16) -> Self {
        let key = hash(&[config.seed, 0x7365_7373, u64::from(person.number), u64::from(session_number)]);
        Self {
            config,
            person,
            device,
            key,
            session_number,
            session: format!("{key:016x}"),
            user: None,
            page: Page::default(),
            events: Vec::new(),
        }
    }

    /// Opens a page; the one before is its referrer, or `from` is.
    pub(crate) fn open(&mut self, path: String, title: String, from: Option<&str>) {
        let referrer = match from {
            Some(from) => from.to_owned(),
            None => format!("https://{}.example{}", self.config.site, self.page.path),
        };
        self.page = Page { path, title, referrer, view: self.page.view + 1 };
    }

    /// Writes an event; `fill` adds what is its own.
    pub(crate) fn record(&mut self, event_type: &'static str, time_ms: i64, fill: impl FnOnce(&mut Object)) {
        let number = self.events.len() as u64;
        let mut object = Object::new();
        object.text("id", &format!("{:016x}{:04x}", hash(&[self.key, number]), number));
        object.text("type", event_type);
        object.time("time", time_ms + self.device.clock_off_ms);
        object.number("sequence", i64::from(self.session_number) * SEQUENCES + number as i64);
        object.text("device", &self.device.id);
        if let Some(user) = &self.user {
            object.text("user", user);
        }
        object.text("session", &self.session);
        object.text("language", self.person.language);
        object.text("country", self.person.country);
        object.text("user_agent", self.device.user_agent);
        let (site, page) = (&self.config.site, &self.page);
        object.object("page", |o| {
            o.text("url", &format!("https://{site}.example{}", page.path));
            o.text("title", &page.title);
            if !page.referrer.is_empty() {
                o.text("referrer", &page.referrer);
            }
            o.text("view_id", &format!("{:016x}", hash(&[self.key, 0x7061_6765, page.view])));
        });
        fill(&mut object);
        let viewport = self.device.viewport;
        let pad_to = self.config.pad_to_bytes;
        object.object("properties", |o| {
            o.text("app", "web-4.12.0");
            o.text("viewport", viewport);
            // Quotes, key, comma and the brace that is still to come.
            let rest = pad_to.saturating_sub(o.len() + "\"pad\":\"\",}".len());
            if rest > 0 {
                o.text("pad", &"x".repeat(rest));
            }
        });
        self.events.push(Made { time_ms, event_type, json: object.finish() });
    }
}

/// Adds the product an event concerns.
pub(crate) fn product(object: &mut Object, product: &Product, quantity: Option<i64>) {
    object.object("product", |o| {
        o.text("id", &product.id);
        o.text("name", &product.name);
        o.text("category", product.category);
        o.text("brand", product.brand);
        o.money("price", product.price_minor);
        o.text("currency", CURRENCY);
        if let Some(quantity) = quantity {
            o.number("quantity", quantity);
        }
    });
}

/// The shop's currency.
pub(crate) const CURRENCY: &str = "EUR";

/// A line of an order.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) product: Product,
    pub(crate) quantity: i64,
    /// After the discount.
    pub(crate) amount_minor: i64,
}

/// Adds the lines of an order or refund.
pub(crate) fn lines(object: &mut Object, lines: &[Line]) {
    object.list("lines", lines, |o, line| {
        o.text("product_id", &line.product.id);
        o.text("name", &line.product.name);
        o.text("category", line.product.category);
        o.number("quantity", line.quantity);
        o.money("price", line.product.price_minor);
        o.money("amount", line.amount_minor);
        o.money("cost", line.product.cost_minor * line.quantity);
    });
}

/// An event of the shop's servers, which have no device.
pub(crate) fn server_event(id: u64, event_type: &'static str, time_ms: i64, fill: impl FnOnce(&mut Object)) -> Made {
    let mut object = Object::new();
    object.text("id", &format!("{id:016x}"));
    object.text("type", event_type);
    object.time("time", time_ms);
    fill(&mut object);
    Made { time_ms, event_type, json: object.finish() }
}
