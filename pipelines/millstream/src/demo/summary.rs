//! What the demo says at its end.

use millstream_ingest::fates::{Fate, FateTotals};
use millstream_simulator::Totals;
use millstream_warehouse::Warehouse;
use serde::Serialize;

use crate::demo::attribution::{self, ChannelCredit};
use crate::demo::latency::quantile;
use crate::demo::quality::{self, JUDGED_AFTER_EVENTS, Quality};
use crate::demo::traffic::Sent;
use crate::error::Failure;

/// Rejected events of one reason.
#[derive(Debug, Serialize)]
pub struct Rejects {
    /// The reason.
    pub reason: String,
    /// How many.
    pub events: u64,
}

/// Milliseconds from an event's request to its committed score.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Events measured, one at a time.
    pub probes: usize,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

impl Latency {
    fn of(sorted_ms: &[f64]) -> Self {
        Self { probes: sorted_ms.len(), p50_ms: quantile(sorted_ms, 0.5), p99_ms: quantile(sorted_ms, 0.99) }
    }
}

/// Events dropped, by reason; no bytes are kept of them.
#[derive(Debug, Serialize)]
pub struct Dropped {
    /// The visitor's consent does not allow it.
    pub consent_refused: u64,
    /// A robot that says so.
    pub declared_bot: u64,
    /// Accepted before.
    pub duplicate: u64,
}

impl Dropped {
    /// What this process's ingest has counted.
    pub fn of(fates: &FateTotals) -> Self {
        Self {
            consent_refused: fates.get(Fate::ConsentRefused),
            declared_bot: fates.get(Fate::DeclaredBot),
            duplicate: fates.get(Fate::Duplicate),
        }
    }
}

/// What the simulator knows to have happened. Visitors who refuse consent and robots that say so are in it, not in the tables.
#[derive(Debug, Serialize)]
pub struct Truth {
    /// Sessions of people.
    pub sessions: u64,
    /// Those that bought.
    pub conversions: u64,
    /// Orders.
    pub orders: u64,
    /// Their amount, minor units.
    pub revenue_minor: i64,
}

impl Truth {
    fn of(totals: &Totals) -> Self {
        Self {
            sessions: totals.sessions,
            conversions: totals.buying_sessions,
            orders: totals.orders,
            revenue_minor: totals.order_amount_minor,
        }
    }
}

/// The summary; `--json` prints it under these names.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Events sent to the collector, bad input and duplicates included.
    pub sent: u64,
    /// Requests refused as a whole.
    pub refused_requests: u64,
    /// Events that the collector refused, those of such requests included.
    pub refused_events: u64,
    /// Events kept: rows of `events`.
    pub events: u64,
    /// Events dropped for a reason: consent refused, declared robots, duplicates.
    pub dropped: Dropped,
    /// Sessions, and how many are still open.
    pub sessions: u64,
    /// Open sessions.
    pub open_sessions: u64,
    /// Sessions with a purchase.
    pub conversions: u64,
    /// Orders.
    pub orders: u64,
    /// Their amount, minor units.
    pub revenue_minor: i64,
    /// The simulator's truth beside it.
    pub truth: Truth,
    /// Sessions with a score.
    pub scored_sessions: u64,
    /// AUC of the scores after three events, for sessions that had not bought by then.
    pub auc: Option<f64>,
    /// Share of those sessions that bought.
    pub base_rate: Option<f64>,
    /// Which model scored them.
    pub model: String,
    /// The scores' worth in full, beside the base rate and the heuristic.
    pub quality: Option<Quality>,
    /// Revenue by channel: what each model credits, beside the truth.
    pub attribution: Vec<ChannelCredit>,
    /// What was refused, by reason.
    pub rejected: Vec<Rejects>,
    /// From request to committed score.
    pub latency: Latency,
    /// Seconds of the whole demo.
    pub seconds: f64,
}

/// Reads the summary from the warehouse.
///
/// # Errors
/// Where a query fails.
pub fn read(warehouse: &Warehouse, sent: &Sent, dropped: Dropped) -> Result<Summary, Failure> {
    let number = |sql: &str| -> Result<u64, Failure> {
        let rows = warehouse.rows(sql)?;
        let text = rows.first().and_then(|row| row.first()).and_then(Option::as_deref).unwrap_or("0");
        text.parse().map_err(|_| Failure::new(format!("{sql}: {text:?} is not a number")))
    };
    let quality = quality::read(warehouse)?;
    Ok(Summary {
        sent: sent.events,
        refused_requests: sent.refused_requests,
        refused_events: sent.refused_events,
        truth: Truth::of(&sent.truth.totals),
        events: number("select count(*) from events")?,
        dropped,
        sessions: number("select count(*) from sessions_current")?,
        open_sessions: number("select count(*) from sessions_current where state = 'open'")?,
        conversions: number("select count(*) from sessions_current where purchases > 0")?,
        orders: number("select count(*) from orders_current")?,
        revenue_minor: i64::try_from(number("select coalesce(sum(amount_minor), 0) from orders_current")?)
            .unwrap_or(i64::MAX),
        scored_sessions: number("select count(*) from scores_propensity_current")?,
        auc: quality.as_ref().map(|quality| quality.model.auc),
        base_rate: quality.as_ref().map(|quality| quality.base_rate),
        model: text(
            warehouse,
            "select model from scores_propensity_current group by model order by count(*) desc, model limit 1",
        )?,
        quality,
        attribution: attribution::read(warehouse, &sent.truth)?,
        rejected: rejects(warehouse)?,
        latency: Latency::of(&[]),
        seconds: 0.0,
    })
}

fn text(warehouse: &Warehouse, sql: &str) -> Result<String, Failure> {
    Ok(warehouse.rows(sql)?.into_iter().next().and_then(|row| row.into_iter().next().flatten()).unwrap_or_default())
}

fn rejects(warehouse: &Warehouse) -> Result<Vec<Rejects>, Failure> {
    let rows = warehouse.rows("select reason, count(*) from events_rejected group by reason order by reason")?;
    Ok(rows
        .into_iter()
        .filter_map(|row| match &row[..] {
            [Some(reason), Some(count)] => Some(Rejects { reason: reason.clone(), events: count.parse().ok()? }),
            _ => None,
        })
        .collect())
}

impl Summary {
    /// With what could only be measured afterwards.
    pub fn with_latency(self, sorted_ms: &[f64], seconds: f64) -> Self {
        Self { latency: Latency::of(sorted_ms), seconds, ..self }
    }

    /// The summary for people.
    pub fn to_text(&self) -> String {
        let ms = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1} ms"));
        let mut lines = vec![
            String::new(),
            format!(
                "  events sent          {:>10}   kept {}; dropped: consent {}, robots {}, duplicates {}",
                self.sent, self.events, self.dropped.consent_refused, self.dropped.declared_bot, self.dropped.duplicate
            ),
            format!(
                "  sessions             {:>10}   open {}; simulated {}",
                self.sessions, self.open_sessions, self.truth.sessions
            ),
            format!("  conversions          {:>10}   simulated {}", self.conversions, self.truth.conversions),
            format!(
                "  orders               {:>10}   revenue {} EUR, simulated {} with {}",
                self.orders,
                major(self.revenue_minor),
                self.truth.orders,
                major(self.truth.revenue_minor)
            ),
            format!("  sessions scored      {:>10}   by `{}`", self.scored_sessions, self.model),
            format!(
                "  request → score, p50 {:>10}   p99 {} ({} events, one at a time)",
                ms(self.latency.p50_ms),
                ms(self.latency.p99_ms),
                self.latency.probes
            ),
        ];
        lines.extend(self.quality.iter().flat_map(quality_lines));
        for reject in &self.rejected {
            lines.push(format!("  rejected             {:>10}   {}", reject.events, reject.reason));
        }
        lines.push(format!(
            "  refused              {:>10}   by the collector, with a reason in the answer ({} requests as a whole)",
            self.refused_events, self.refused_requests
        ));
        lines.extend(attribution::table(&self.attribution));
        lines.push(format!("  took                 {:>9.1}s", self.seconds));
        lines.join("\n")
    }
}

fn quality_lines(quality: &Quality) -> Vec<String> {
    let Quality { sessions, base_rate, base_log_loss, model, heuristic } = quality;
    let row = |name: &str, auc: f64, ap: f64, log_loss: f64, rest: String| {
        format!("    {name:<18} {auc:>10.3}{ap:>10.3}{log_loss:>10.4}{rest}")
    };
    vec![
        format!("  will it buy, after {JUDGED_AFTER_EVENTS} events of {sessions} sessions"),
        format!("    {:<18} {:>10}{:>10}{:>10}{:>10}", "", "AUC", "AP", "log-loss", "ECE"),
        row("model", model.auc, model.average_precision, model.log_loss, format!("{:>10.4}", model.ece)),
        row(
            "heuristic",
            heuristic.auc,
            heuristic.average_precision,
            heuristic.log_loss,
            format!("{:>10.4}", heuristic.ece),
        ),
        row("base rate", 0.5, *base_rate, *base_log_loss, String::new()),
    ]
}

/// Minor units of a currency with two digits, which the simulated shop has.
fn major(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}
