//! How good the scores were, beside the base rate and beside the heuristic on the same sessions.

use std::collections::BTreeMap;

use millstream_operators::core::EventKind;
use millstream_operators::propensity::Activity;
use millstream_schemas::Event;
use millstream_scoring::evaluation::{Evaluation, Outcome, evaluate};
use millstream_scoring::{Heuristic, Scorer};
use millstream_warehouse::Warehouse;
use serde::Serialize;

use crate::error::Failure;

/// Scores are judged at the first one that has seen this many events of its session.
pub const JUDGED_AFTER_EVENTS: i64 = 3;

/// What a set of scores is worth.
#[derive(Debug, Serialize)]
pub struct Worth {
    /// Area under the ROC curve; ½ is guessing.
    pub auc: f64,
    /// Average precision; the base rate is guessing.
    pub average_precision: f64,
    /// Mean of −ln of the probability given to what happened.
    pub log_loss: f64,
    /// Expected calibration error, ten bins with equally many sessions.
    pub ece: f64,
}

impl Worth {
    fn of(evaluation: &Evaluation) -> Self {
        Self {
            auc: evaluation.auc,
            average_precision: evaluation.average_precision,
            log_loss: evaluation.log_loss,
            ece: evaluation.ece,
        }
    }
}

/// The model's worth and that of what it has to beat.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// Sessions judged: those with a score after three events that had not bought by then.
    pub sessions: usize,
    /// Share of them that bought.
    pub base_rate: f64,
    /// The log-loss of always saying the base rate.
    pub base_log_loss: f64,
    /// The scores as they were committed.
    pub model: Worth,
    /// The labelled heuristic, computed for the same events of the same sessions.
    pub heuristic: Worth,
}

/// One judged score.
struct Judged {
    p: f64,
    bought: bool,
    source: String,
    started_at_ms: i64,
    /// The event that caused the score.
    cause: Place,
}

/// Where and when an event came.
struct Place {
    partition: i64,
    offset: i64,
    time_ms: i64,
}

impl Place {
    /// Whether it had been seen when `cause` came: by the log where both lie in one partition, else (the source moved) by time.
    fn seen_by(&self, cause: &Self) -> bool {
        if self.partition == cause.partition { self.offset <= cause.offset } else { self.time_ms < cause.time_ms }
    }
}

/// Judges the committed scores; `None` where none or all of the sessions bought.
///
/// # Errors
/// Where a query fails.
pub fn read(warehouse: &Warehouse) -> Result<Option<Quality>, Failure> {
    let judged = judged(warehouse)?;
    let events = informative_events(warehouse)?;
    let outcome = |p: f64, one: &Judged| Outcome { p, happened: one.bought };
    let by_model: Vec<Outcome> = judged.iter().map(|one| outcome(one.p, one)).collect();
    let by_rules: Vec<Outcome> = judged.iter().map(|one| outcome(heuristic(one, &events), one)).collect();
    let (Some(model), Some(heuristic)) = (evaluate(&by_model), evaluate(&by_rules)) else { return Ok(None) };
    Ok(Some(Quality {
        sessions: model.rows,
        base_rate: model.base_rate,
        base_log_loss: model.base_log_loss,
        model: Worth::of(&model),
        heuristic: Worth::of(&heuristic),
    }))
}

/// Each session's first score after three events, unless it had bought by then, and whether it bought.
fn judged(warehouse: &Warehouse) -> Result<Vec<Judged>, Failure> {
    let sql = format!(
        "with ranked as (
           select p.site, p.session_id, p.p_purchase, p.source_event,
                  row_number() over (partition by p.site, p.session_id order by p.revision) as place
           from scores_propensity p where p.events_seen >= {JUDGED_AFTER_EVENTS} and not p.retracted)
         select r.p_purchase, s.purchases > 0, s.source, cast(s.started_at as bigint), 
                cast(e.log_partition as bigint), cast(e.log_offset as bigint), cast(e.event_time as bigint)
         from ranked r
         join sessions_current s on s.site = r.site and s.session_id = r.session_id
         join events e on e.site = r.site and e.event_id = r.source_event
         where r.place = 1
           and not exists (select 1 from events b where b.site = s.site and b.source = s.source and b.event_type = 'purchase'
                           and b.event_time >= s.started_at and b.event_time <= e.event_time)"
    );
    let rows = warehouse.rows(&sql)?;
    rows.iter().map(|row| judged_row(row).ok_or_else(|| unreadable("a judged score", row))).collect()
}

/// A row that is not as its query has it.
fn unreadable(what: &str, row: &[Option<String>]) -> Failure {
    Failure::new(format!("the warehouse gave {what} that cannot be read: {row:?}"))
}

fn judged_row(row: &[Option<String>]) -> Option<Judged> {
    let text = |at: usize| row.get(at)?.as_deref();
    Some(Judged {
        p: text(0)?.parse().ok()?,
        bought: text(1)? == "true",
        source: text(2)?.to_owned(),
        started_at_ms: text(3)?.parse().ok()?,
        cause: Place {
            partition: text(4)?.parse().ok()?,
            offset: text(5)?.parse().ok()?,
            time_ms: text(6)?.parse().ok()?,
        },
    })
}

/// What the heuristic looks at of one event.
struct Informative {
    place: Place,
    event_type: String,
    consent: i32,
}

fn informative_events(warehouse: &Warehouse) -> Result<BTreeMap<String, Vec<Informative>>, Failure> {
    let sql = "select source, cast(log_partition as bigint), cast(log_offset as bigint), cast(event_time as bigint), event_type,
                      consent
               from events where source is not null";
    let mut by_source: BTreeMap<String, Vec<Informative>> = BTreeMap::new();
    for row in warehouse.rows(sql)? {
        let (source, event) = informative_row(&row).ok_or_else(|| unreadable("an event", &row))?;
        by_source.entry(source).or_default().push(event);
    }
    Ok(by_source)
}

fn informative_row(row: &[Option<String>]) -> Option<(String, Informative)> {
    let text = |at: usize| row.get(at)?.as_deref();
    let place =
        Place { partition: text(1)?.parse().ok()?, offset: text(2)?.parse().ok()?, time_ms: text(3)?.parse().ok()? };
    let event = Informative { place, event_type: text(4)?.to_owned(), consent: text(5)?.parse().ok()? };
    Some((text(0)?.to_owned(), event))
}

/// The heuristic's score by the operators' own feature code, from the same events that the judged score had seen.
fn heuristic(one: &Judged, events: &BTreeMap<String, Vec<Informative>>) -> f64 {
    let mut activity = Activity::default();
    for seen in events.get(&one.source).into_iter().flatten() {
        if seen.place.seen_by(&one.cause) && seen.place.time_ms >= one.started_at_ms {
            let Informative { place, event_type, consent } = seen;
            let event = Event { event_type, event_time: place.time_ms, consent: *consent, ..Event::default() };
            activity.add(&event, EventKind::of(event_type));
        }
    }
    Heuristic.score(&activity.features(None)).p
}
