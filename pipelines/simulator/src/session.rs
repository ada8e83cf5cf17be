//! One session: what a person does, and why.

use crate::catalogue::Product;
use crate::channel::{self, Channel, Touch};
use crate::config::{DAY_MS, SimConfig};
use crate::content::{self, CURRENCY, Line, Made, Recorder};
use crate::person::{Device, Person, PersonState};
use crate::random::{Random, hash};
use crate::schedule::Planned;
use crate::truth::{OrderTruth, SessionTruth, caused_ppm};

const SESSION: u64 = 0x0073_6573;
/// No session is surer to buy than this, parts per million.
const SUREST_PPM: u64 = 650_000;

/// A session that has been played.
pub(crate) struct Played {
    pub(crate) events: Vec<Made>,
    pub(crate) device: Device,
    pub(crate) truth: SessionTruth,
    pub(crate) order: Option<(OrderTruth, Option<Refund>)>,
    pub(crate) consent_refused: bool,
}

/// Money given back for an order, some days later, as the shop's servers tell it.
pub(crate) struct Refund {
    pub(crate) event: Made,
    pub(crate) amount_minor: i64,
}

struct Visit<'a> {
    config: &'a SimConfig,
    person: &'a Person,
    random: Random,
    recorder: Recorder<'a>,
    time_ms: i64,
}

/// Plays a session and changes the person's state.
pub(crate) fn play(config: &SimConfig, planned: Planned, day: u16, state: &mut PersonState) -> Played {
    let person = Person::of(config.seed, planned.person);
    let mut random = Random::of(&[config.seed, SESSION, u64::from(planned.person), u64::from(state.sessions)]);
    let device_number = if random.chance(700_000) { 0 } else { random.below(person.devices) };
    let device_bit = 1u8 << device_number;
    let device = person.device(config.seed, device_number, config.noise);
    let channel = Channel::ALL.get(random.weighted(&person.channel_weights)).copied().unwrap_or(Channel::Direct);
    remember(&mut state.touches, Touch { channel: channel.index() as u8 + 1, day });
    let lifts = channel::lifts(state.touches, day);
    let buys_ppm = chance(&person, &device, state, day, &lifts);
    let buys = random.chance(buys_ppm);

    let mut visit = Visit {
        config,
        person: &person,
        recorder: Recorder::new(config, &person, &device, state.sessions),
        random,
        time_ms: planned.start_ms,
    };
    if state.logged_in & device_bit != 0 {
        visit.recorder.user = Some(person.user());
    }
    visit.land(channel, state.sessions, state.consented & device_bit == 0);
    let (cart, order) = visit.shop(buys, buys_ppm);
    let order = order.map(|(mut order, refund)| {
        order.caused_ppm = caused_ppm(&lifts);
        (order, refund)
    });
    visit.leave();

    let truth = SessionTruth {
        session: visit.recorder.session.clone(),
        device: device.id.clone(),
        person: planned.person,
        start_ms: planned.start_ms,
        channel: channel.name(),
        buys_ppm,
        bought: buys,
    };
    state.logged_in =
        if visit.recorder.user.is_some() { state.logged_in | device_bit } else { state.logged_in & !device_bit };
    state.consented |= device_bit;
    state.left_cart = cart && !buys;
    state.sessions = state.sessions.saturating_add(1);
    state.last_day = day + 1;
    let events = visit.recorder.events;
    Played { events, device, truth, order, consent_refused: person.refuses_consent }
}

fn remember(touches: &mut [Touch; 4], touch: Touch) {
    touches.rotate_right(1);
    if let Some(newest) = touches.first_mut() {
        *newest = touch;
    }
}

/// The chance that the session buys: the person's own, what they come with, and what channels did.
fn chance(person: &Person, device: &Device, state: &PersonState, day: u16, lifts: &[u64; 7]) -> u64 {
    let mut ppm = person.buys_ppm;
    ppm = ppm * if device.mobile { 700 } else { 1_250 } / 1_000;
    if state.left_cart {
        ppm *= 2;
    }
    if state.last_day > 0 && day + 1 - state.last_day <= 3 {
        ppm = ppm * 13 / 10;
    }
    (ppm * (1_000 + lifts.iter().sum::<u64>()) / 1_000).min(SUREST_PPM)
}

impl Visit<'_> {
    fn wait(&mut self, low_ms: i64, high_ms: i64) {
        self.time_ms += self.random.between(low_ms, high_ms);
    }

    /// Stays on the page, with a ping every 15 seconds.
    fn stay(&mut self, low_ms: i64, high_ms: i64) {
        let mut left_ms = self.random.between(low_ms, high_ms);
        let mut scrolled = self.random.between(5, 40);
        while left_ms > 15_000 {
            self.time_ms += 15_000;
            left_ms -= 15_000;
            scrolled = (scrolled + self.random.between(0, 30)).min(100);
            let engaged_ms = self.random.between(3_000, 15_000);
            self.recorder.record("page_ping", self.time_ms, |o| {
                o.object("ping", |o| {
                    o.number("engaged_ms", engaged_ms);
                    o.number("scroll_depth_pct", scrolled);
                });
            });
        }
        self.time_ms += left_ms.max(1);
    }

    fn view(&mut self, path: String, title: &str, from: Option<&str>) {
        self.recorder.open(path, title.to_owned(), from);
        self.recorder.record("page_view", self.time_ms, |_| {});
    }

    /// Arrives: the landing page, the banner, perhaps an experiment and a login.
    fn land(&mut self, channel: Channel, sessions: u16, banner: bool) {
        let facts = channel.facts();
        let query = if facts.query.ends_with("gclid=Cj0KCQjw") {
            format!("{}{:x}", facts.query, self.random.below(1 << 40))
        } else {
            facts.query.to_owned()
        };
        let path =
            ["/", "/sale", "/new", "/c/shirts"].get(self.random.weighted(&[50, 20, 15, 15])).copied().unwrap_or("/");
        self.view(format!("{path}{query}"), "Welcome", Some(facts.referrer));
        if banner {
            self.wait(800, 6_000);
            let yes = !self.person.refuses_consent;
            let (personalization, advertising) =
                (yes && self.random.chance(800_000), yes && self.random.chance(600_000));
            self.recorder.record("consent", self.time_ms, |o| {
                o.object("consent", |o| {
                    o.flag("necessary", true);
                    o.flag("analytics", yes);
                    o.flag("personalization", personalization);
                    o.flag("advertising", advertising);
                });
            });
        }
        if self.random.chance(200_000) {
            self.wait(50, 300);
            let variation = if hash(&[self.config.seed, u64::from(self.person.number), 0x6162]) & 1 == 0 {
                "control"
            } else {
                "short"
            };
            self.recorder.record("experiment_exposure", self.time_ms, |o| {
                o.object("experiment", |o| {
                    o.text("id", "checkout-length");
                    o.text("variation", variation);
                });
            });
        }
        self.stay(3_000, 40_000);
        if self.person.has_account
            && self.recorder.user.is_none()
            && self.random.chance(if sessions == 0 { 200_000 } else { 350_000 })
        {
            self.login();
        }
    }

    fn login(&mut self) {
        self.view("/login".to_owned(), "Log in", None);
        self.wait(4_000, 25_000);
        self.recorder.user = Some(self.person.user());
        self.recorder.record("identify", self.time_ms, |_| {});
        self.wait(200, 1_500);
    }

    /// Looks around, and perhaps buys. Says whether something was put into the cart.
    fn shop(&mut self, buys: bool, buys_ppm: u64) -> (bool, Option<(OrderTruth, Option<Refund>)>) {
        // What can be seen of the intention is not the intention: many who will not buy look as if they would.
        let interested = buys || self.random.chance((450_000 + buys_ppm).min(800_000));
        let looks = if interested {
            self.random.between(1, 7)
        } else if self.random.chance(450_000) {
            return (false, None);
        } else {
            self.random.between(0, 2)
        };
        if self.random.chance(if interested { 450_000 } else { 200_000 }) {
            self.search();
        } else {
            self.list();
        }
        let mut cart: Vec<Line> = Vec::new();
        for look in 0..looks {
            let product = Product::looked_at(self.config.seed, self.person.favourite, &mut self.random);
            self.look_at(&product, interested);
            let last = look + 1 == looks;
            let adds = if buys {
                (last && cart.is_empty()) || self.random.chance(150_000)
            } else {
                interested && self.random.chance(90_000)
            };
            if adds {
                let quantity = 1 + self.random.weighted(&[80, 15, 5]) as i64;
                self.recorder.record("add_to_cart", self.time_ms, |o| content::product(o, &product, Some(quantity)));
                let amount_minor = product.price_minor * quantity;
                cart.push(Line { product, quantity, amount_minor });
                self.stay(1_000, 20_000);
            }
        }
        if cart.len() > 1
            && self.random.chance(150_000)
            && let Some(line) = cart.pop()
        {
            self.view("/cart".to_owned(), "Cart", None);
            self.wait(1_000, 9_000);
            self.recorder
                .record("remove_from_cart", self.time_ms, |o| content::product(o, &line.product, Some(line.quantity)));
        }
        let filled = !cart.is_empty();
        let steps = match (buys, filled) {
            (true, _) => 3,
            (false, true) if self.random.chance(350_000) => self.random.between(1, 2),
            _ => 0,
        };
        for step in 1..=steps {
            self.check_out(step);
        }
        let order = if buys { Some(self.buy(cart)) } else { None };
        (filled, order)
    }

    fn search(&mut self) {
        let words = ["blue shirt", "winter boots", "lamp", "gift", "headphones", "blanket wool", "café table"];
        let query = words.get(self.random.below(7) as usize).copied().unwrap_or("gift");
        self.view(format!("/search?q={}", query.replace(' ', "+")), "Search", None);
        let results = self.random.between(0, 120);
        self.recorder.record("search", self.time_ms + 1, |o| {
            o.object("search", |o| {
                o.text("query", query);
                o.number("results", results);
            });
        });
        self.time_ms += 1;
        self.stay(2_000, 25_000);
    }

    fn list(&mut self) {
        let list = self.person.favourite;
        self.view(format!("/c/{list}"), "Category", None);
        self.recorder.record("list_view", self.time_ms + 1, |o| {
            o.object("product", |o| o.text("list_id", &format!("category-{list}")));
        });
        self.time_ms += 1;
        self.stay(2_000, 30_000);
    }

    fn look_at(&mut self, product: &Product, interested: bool) {
        self.recorder.record("click", self.time_ms, |o| {
            o.object("click", |o| o.text("target", &format!("tile-{}", product.id)));
        });
        self.wait(150, 900);
        self.view(format!("/p/{}", product.id), &product.name, None);
        self.recorder.record("product_view", self.time_ms + 1, |o| content::product(o, product, None));
        self.time_ms += 1;
        self.stay(4_000, if interested { 75_000 } else { 35_000 });
    }

    fn check_out(&mut self, step: i64) {
        self.view(format!("/checkout/{step}"), "Checkout", None);
        self.recorder.record("checkout_step", self.time_ms + 1, |o| o.object("checkout", |o| o.number("step", step)));
        self.time_ms += 1;
        self.stay(5_000, 60_000);
        if step == 1 && self.person.has_account && self.recorder.user.is_none() && self.random.chance(800_000) {
            self.login();
        }
    }

    fn buy(&mut self, mut cart: Vec<Line>) -> (OrderTruth, Option<Refund>) {
        let coupon = self.random.chance(150_000);
        let mut discount_minor = 0;
        if coupon {
            for line in &mut cart {
                let off = line.amount_minor / 10;
                line.amount_minor -= off;
                discount_minor += off;
            }
        }
        let amount_minor: i64 = cart.iter().map(|line| line.amount_minor).sum();
        let shipping_minor = if amount_minor >= 5_000 { 0 } else { 495 };
        let key = hash(&[self.config.seed, 0x6f72_6465, u64::from(self.person.number), self.time_ms as u64]);
        let order = format!("O-{key:012x}");
        self.view("/thank-you".to_owned(), "Thank you", None);
        self.recorder.record("purchase", self.time_ms + 1, |o| {
            o.object("order", |o| {
                o.text("id", &order);
                o.money("amount", amount_minor);
                o.text("currency", CURRENCY);
                // 19 percent are in the price.
                o.money("tax", amount_minor * 19 / 119);
                o.money("shipping", shipping_minor);
                o.money("discount", discount_minor);
                if coupon {
                    o.text("coupon", "TEN");
                }
                content::lines(o, &cart);
            });
        });
        self.time_ms += 1;
        let truth = OrderTruth {
            order: order.clone(),
            session: self.recorder.session.clone(),
            person: self.person.number,
            time_ms: self.time_ms,
            amount_minor,
            caused_ppm: Default::default(),
        };
        self.stay(2_000, 20_000);
        let refund = self.random.chance(70_000).then(|| self.refund(key, &order, &cart));
        (truth, refund)
    }

    /// The first line, or all, comes back after some days.
    fn refund(&mut self, key: u64, order: &str, cart: &[Line]) -> Refund {
        let returned = if self.random.chance(500_000) { cart } else { cart.get(..1).unwrap_or_default() };
        let time_ms = self.time_ms + self.random.between(2 * DAY_MS, 10 * DAY_MS);
        let amount_minor = returned.iter().map(|line| line.amount_minor).sum();
        let user = self.recorder.user.clone();
        let event = content::server_event(hash(&[key, 1]), "refund", time_ms, |o| {
            if let Some(user) = &user {
                o.text("user", user);
            }
            o.object("refund", |o| {
                o.text("id", &format!("R-{key:012x}"));
                o.text("order_id", order);
                o.money("amount", amount_minor);
                o.text("currency", CURRENCY);
                content::lines(o, returned);
            });
        });
        Refund { event, amount_minor }
    }

    /// A few leave a trace of another kind, and a few log out.
    fn leave(&mut self) {
        if self.random.chance(10_000) {
            self.recorder.record("custom", self.time_ms, |o| o.text("name", "newsletter_signup"));
            self.wait(500, 3_000);
        }
        if self.recorder.user.is_some() && self.random.chance(30_000) {
            self.recorder.record("logout", self.time_ms, |_| {});
            self.recorder.user = None;
        }
    }
}
