//! The views of one site.

use std::collections::{BTreeMap, HashMap};

use millstream_schemas::{DecodeError, Id, Value};
use serde_json::{Value as Json, json};

use crate::config::ServeConfig;
use crate::latest::Latest;
use crate::row::{Framed, Row, id, is_true, long, text};

/// Sessions remembered of one device; more of it are found by nobody here.
const SESSIONS_PER_DEVICE: usize = 8;
/// Credits for each row of the other views: an order has one for each model and touch.
const CREDITS_PER_ROW: usize = 8;

struct Session {
    row: Row,
    consent: i32,
    device: Box<str>,
    person: Id,
    ended_at: i64,
    open: bool,
}

/// A row that is shown as it is.
struct Shown {
    row: Row,
    consent: i32,
}

#[derive(Clone, PartialEq)]
struct Order {
    amount_minor: i64,
    currency: Box<str>,
}

#[derive(Clone, PartialEq)]
struct Credit {
    currency: Box<str>,
    model: Box<str>,
    channel: Box<str>,
    credited_minor: i64,
}

/// Order, model, touch.
type CreditKey = (Box<str>, Box<str>, Id);
type Sums = BTreeMap<Box<str>, i64>;

/// Which revisions a visitor's picture was made of: another one, another picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VisitorVersion {
    session: Option<(Id, i64)>,
    score: Option<i64>,
    profile: Option<i64>,
}

/// Newest revisions of one site's records, and what they add up to.
pub(crate) struct SiteViews {
    sessions: Latest<Id, Session>,
    scores: Latest<Id, Shown>,
    profiles: Latest<Id, Shown>,
    orders: Latest<Box<str>, Order>,
    credits: Latest<CreditKey, Credit>,
    /// Sessions of each device.
    devices: HashMap<Box<str>, Vec<Id>>,
    open: u64,
    conversions: u64,
    /// By currency.
    revenue_minor: Sums,
    /// By currency, by model, by channel.
    credited_minor: BTreeMap<Box<str>, BTreeMap<Box<str>, Sums>>,
}

impl SiteViews {
    pub fn new(config: &ServeConfig) -> Self {
        let rows = config.max_rows;
        Self {
            sessions: Latest::new(rows),
            scores: Latest::new(rows),
            profiles: Latest::new(rows),
            orders: Latest::new(rows),
            credits: Latest::new(rows.saturating_mul(CREDITS_PER_ROW)),
            devices: HashMap::new(),
            open: 0,
            conversions: 0,
            revenue_minor: BTreeMap::new(),
            credited_minor: BTreeMap::new(),
        }
    }

    /// Applies a record; those of other kinds pass by.
    ///
    /// # Errors
    /// Where the body cannot be read; nothing has changed then.
    pub fn apply(&mut self, framed: &Framed<'_>) -> Result<(), DecodeError> {
        match framed.schema.name {
            "session" => self.session(framed),
            "propensity" => {
                let [key, revision, retracted, consent] =
                    framed.fields(["session_id", "revision", "retracted", "consent"])?;
                let shown = Shown { row: framed.keep(), consent: bits(&consent) };
                self.scores.apply(id(&key), long(&revision), (!is_true(&retracted)).then_some(shown));
                Ok(())
            }
            "profile" => {
                let [key, revision, retracted, consent] =
                    framed.fields(["person", "revision", "retracted", "consent"])?;
                let shown = Shown { row: framed.keep(), consent: bits(&consent) };
                self.profiles.apply(id(&key), long(&revision), (!is_true(&retracted)).then_some(shown));
                Ok(())
            }
            "order" => self.order(framed),
            "attribution" => self.credit(framed),
            _ => Ok(()),
        }
    }

    fn session(&mut self, framed: &Framed<'_>) -> Result<(), DecodeError> {
        let [key, revision, retracted, consent, device, person, ended_at, state] = framed.fields([
            "session_id",
            "revision",
            "retracted",
            "consent",
            "device_id",
            "person",
            "ended_at",
            "state",
        ])?;
        let key = id(&key);
        let session = (!is_true(&retracted)).then(|| Session {
            row: framed.keep(),
            consent: bits(&consent),
            device: text(&device).into(),
            person: id(&person),
            ended_at: long(&ended_at),
            open: text(&state) == "open",
        });
        let added = session.as_ref().map(|session| (session.device.clone(), session.open));
        let applied = self.sessions.apply(key, long(&revision), session);
        if !applied.newest {
            return Ok(());
        }
        if let Some(old) = applied.replaced {
            self.leave(key, &old);
        }
        if let Some((device, open)) = added {
            self.open += u64::from(open);
            self.enter(key, device);
        }
        if let Some((key, old)) = applied.forgotten {
            self.leave(key, &old);
        }
        Ok(())
    }

    fn enter(&mut self, key: Id, device: Box<str>) {
        if device.is_empty() {
            return;
        }
        let sessions = &self.sessions;
        let of_device = self.devices.entry(device).or_default();
        of_device.push(key);
        if of_device.len() > SESSIONS_PER_DEVICE {
            let ended_at = |key: &Id| sessions.get(key).map_or(i64::MIN, |(_, session)| session.ended_at);
            if let Some(at) = (0..of_device.len()).min_by_key(|&at| of_device.get(at).map(ended_at)) {
                of_device.swap_remove(at);
            }
        }
    }

    fn leave(&mut self, key: Id, old: &Session) {
        self.open -= u64::from(old.open);
        if let Some(of_device) = self.devices.get_mut(&old.device) {
            of_device.retain(|other| *other != key);
            if of_device.is_empty() {
                self.devices.remove(&old.device);
            }
        }
    }

    fn order(&mut self, framed: &Framed<'_>) -> Result<(), DecodeError> {
        let [key, revision, retracted, amount, currency] =
            framed.fields(["order_id", "revision", "retracted", "amount_minor", "currency"])?;
        let order =
            (!is_true(&retracted)).then(|| Order { amount_minor: long(&amount), currency: text(&currency).into() });
        let applied = self.orders.apply(text(&key).into(), long(&revision), order.clone());
        if !applied.newest {
            return Ok(());
        }
        for (order, sign) in [(applied.replaced, -1), (order, 1), (applied.forgotten.map(|(_, order)| order), -1)] {
            let Some(order) = order else { continue };
            self.conversions = self.conversions.saturating_add_signed(sign);
            let revenue = self.revenue_minor.entry(order.currency).or_default();
            *revenue = revenue.saturating_add(order.amount_minor.saturating_mul(sign));
        }
        Ok(())
    }

    fn credit(&mut self, framed: &Framed<'_>) -> Result<(), DecodeError> {
        let [order, model, touch, revision, retracted, currency, channel, credited] = framed.fields([
            "order_id",
            "model",
            "touch_id",
            "revision",
            "retracted",
            "currency",
            "channel",
            "credited_minor",
        ])?;
        let model: Box<str> = text(&model).into();
        let credit = (!is_true(&retracted)).then(|| Credit {
            currency: text(&currency).into(),
            model: model.clone(),
            channel: text(&channel).into(),
            credited_minor: long(&credited),
        });
        let key = (text(&order).into(), model, id(&touch));
        let applied = self.credits.apply(key, long(&revision), credit.clone());
        if !applied.newest {
            return Ok(());
        }
        for (credit, sign) in [(applied.replaced, -1), (credit, 1), (applied.forgotten.map(|(_, credit)| credit), -1)] {
            let Some(credit) = credit else { continue };
            let models = self.credited_minor.entry(credit.currency).or_default();
            let sum = models.entry(credit.model).or_default().entry(credit.channel).or_default();
            *sum = sum.saturating_add(credit.credited_minor.saturating_mul(sign));
        }
        Ok(())
    }

    /// The session of a device that was active last, if its consent allows to show it.
    fn current(&self, device: &str, purposes: i32) -> Option<(Id, i64, &Session)> {
        let keys = self.devices.get(device)?;
        let sessions =
            keys.iter().filter_map(|key| self.sessions.get(key).map(|(revision, row)| (*key, revision, row)));
        // The latest first: an earlier visit must not show through a consent that was withdrawn since.
        let latest = sessions.max_by_key(|(key, _, row)| (row.ended_at, *key));
        latest.filter(|(_, _, row)| allows(row.consent, purposes))
    }

    /// What a device's picture would be made of now.
    pub fn visitor_version(&self, device: &str, purposes: i32) -> VisitorVersion {
        let Some((key, revision, session)) = self.current(device, purposes) else { return VisitorVersion::default() };
        let revision_of = |row: Option<(i64, &Shown)>| {
            row.filter(|(_, shown)| allows(shown.consent, purposes)).map(|(revision, _)| revision)
        };
        VisitorVersion {
            session: Some((key, revision)),
            score: revision_of(self.scores.get(&key)),
            profile: revision_of(self.profiles.get(&session.person)),
        }
    }

    /// What is known of a device: its session, that session's score, and its person's profile; null where there is none, or where
    /// its consent lacks a purpose.
    pub fn visitor(&self, device: &str, purposes: i32) -> Json {
        let Some((key, _, session)) = self.current(device, purposes) else {
            return json!({ "device": device, "session": null, "score": null, "profile": null });
        };
        let shown = |row: Option<(i64, &Shown)>| {
            row.filter(|(_, shown)| allows(shown.consent, purposes)).map(|(_, shown)| shown.row.to_json())
        };
        json!({
            "device": device,
            "session": session.row.to_json(),
            "score": shown(self.scores.get(&key)),
            "profile": shown(self.profiles.get(&session.person)),
        })
    }

    /// What the rows add up to.
    pub fn totals(&self) -> Json {
        json!({
            "sessions_open": self.open,
            "conversions": self.conversions,
            "revenue_minor": nonzero(&self.revenue_minor),
            "credited_minor": named(&self.credited_minor, |models| named(models, nonzero)),
        })
    }
}

fn named<V>(map: &BTreeMap<Box<str>, V>, to_json: impl Fn(&V) -> Json) -> Json {
    map.iter().map(|(name, value)| (name.to_string(), to_json(value))).collect()
}

fn nonzero(sums: &Sums) -> Json {
    sums.iter().filter(|(_, sum)| **sum != 0).map(|(name, sum)| (name.to_string(), Json::from(*sum))).collect()
}

fn bits(consent: &Value<'_>) -> i32 {
    match consent {
        Value::Int(bits) => *bits,
        _ => 0,
    }
}

fn allows(consent: i32, purposes: i32) -> bool {
    consent & purposes == purposes
}
