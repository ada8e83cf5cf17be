//! A night of a real shop (REES46, October 2019): how the model ranks sessions it has learnt nothing from.
//!
//! Each session as the shop names it is one source's session. After its first 1, 2, 3 and 5 events the score is compared with whether
//! a purchase follows. Judged, as in the reference, are sessions that began at 02:37 or later, have not bought yet and go on; the
//! reference trained on the earlier ones, nothing here is trained or tuned on any of them.

use std::collections::BTreeMap;

use millstream_operators::core::EventKind;
use millstream_operators::propensity::Activity;
use millstream_schemas::{Event, purposes};
use millstream_scoring::Scorer;
use millstream_scoring::evaluation::{Evaluation, Outcome, evaluate};

/// Events seen when the score is taken.
pub const SEEN: [usize; 4] = [1, 2, 3, 5];

/// The reference for each of [`SEEN`]: judged sessions, buyers, AUC of a model trained on the same shop, its 95 % interval.
pub const REFERENCE: [(usize, usize, f64, [f64; 2]); 4] = [
    (1_111, 63, 0.642, [0.576, 0.716]),
    (702, 43, 0.755, [0.649, 0.836]),
    (461, 25, 0.722, [0.606, 0.836]),
    (230, 14, 0.837, [0.723, 0.927]),
];

/// Judged are sessions that began at this time or later: seconds after midnight.
const JUDGED_FROM_S: i64 = (2 * 60 + 37) * 60;
/// Midnight of 2019-10-01 UTC.
const MIDNIGHT_MS: i64 = 1_569_888_000_000;

/// An event of the sample.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    time_s: i64,
    kind: &'static str,
    product: String,
}

/// Why the sample cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {detail}")]
pub struct SampleError {
    /// The line.
    pub line: usize,
    /// What is wrong.
    pub detail: String,
}

fn told(line: usize, row: &str) -> Result<(String, Told), SampleError> {
    let wrong = |detail: &str| SampleError { line, detail: detail.to_owned() };
    let columns: Vec<&str> = row.split(',').collect();
    let column = |at: usize| columns.get(at).copied().ok_or_else(|| wrong("nine columns were expected"));
    let clock = column(0)?.strip_prefix("2019-10-01 ").ok_or_else(|| wrong("the sample is of 2019-10-01"))?;
    let part = |at: usize| clock.get(at..at + 2).and_then(|text| text.parse::<i64>().ok());
    let (Some(hour), Some(minute), Some(second)) = (part(0), part(3), part(6)) else {
        return Err(wrong("the time is no HH:MM:SS"));
    };
    let kind = match column(1)? {
        "view" => "product_view",
        "cart" => "add_to_cart",
        "remove_from_cart" => "remove_from_cart",
        "purchase" => "purchase",
        _ => return Err(wrong("the type is none of view, cart, remove_from_cart, purchase")),
    };
    let told = Told { time_s: (hour * 60 + minute) * 60 + second, kind, product: column(2)?.to_owned() };
    Ok((column(8)?.to_owned(), told))
}

/// Scores the sample (CSV with a header); one evaluation for each of [`SEEN`], `None` where nothing can be ranked.
///
/// # Errors
/// Where a line cannot be read.
pub fn judge(csv: &str, scorer: &dyn Scorer) -> Result<[Option<Evaluation>; 4], SampleError> {
    let mut sessions: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for (index, row) in csv.lines().enumerate().skip(1).filter(|(_, row)| !row.is_empty()) {
        let (session, event) = told(index + 1, row)?;
        sessions.entry(session).or_default().push(event);
    }
    Ok(SEEN.map(|seen| evaluate(&outcomes(&sessions, seen, scorer))))
}

fn outcomes(sessions: &BTreeMap<String, Vec<Told>>, seen: usize, scorer: &dyn Scorer) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for events in sessions.values() {
        let began_s = events.iter().map(|event| event.time_s).min().unwrap_or(0);
        // In the order of the file, which is that of time.
        let (Some(before), Some(after)) = (events.get(..seen), events.get(seen..)) else { continue };
        if began_s < JUDGED_FROM_S || after.is_empty() || before.iter().any(|event| event.kind == "purchase") {
            continue;
        }
        let mut activity = Activity::default();
        for event in before {
            let event = Event {
                event_type: event.kind,
                event_time: MIDNIGHT_MS + event.time_s * 1_000,
                consent: purposes::ALL,
                product_id: Some(&event.product),
                device_class: "unknown",
                channel: "none",
                ..Event::default()
            };
            activity.add(&event, EventKind::of(event.event_type));
        }
        let p = scorer.score(&activity.features(None)).p;
        outcomes.push(Outcome { p, happened: after.iter().any(|event| event.kind == "purchase") });
    }
    outcomes
}
