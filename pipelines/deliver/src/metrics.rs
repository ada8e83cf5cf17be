//! What an operator sees of delivery. The reference of all metrics is `docs/reference/metrics.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_transports::TopicPartition;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::cause::Cause;
use crate::deliverer::Deliverer;
use crate::lane::Phase;
use crate::sink::Sink;
use crate::stats::DeliverStats;

/// How often gauges are brought up to date, in milliseconds.
const REFRESH_MS: u64 = 1_000;
/// Partitions whose end the log is asked for in one refresh: on a real broker each is a request.
const BACKLOGS_A_REFRESH: usize = 16;

/// Metrics of one sink, registered once. Clones count into the same.
#[derive(Clone, Debug)]
pub struct DeliverMetrics {
    rows: IntCounterVec,
    batches: IntCounterVec,
    filtered: IntCounterVec,
    retries: IntCounterVec,
    skipped: IntCounter,
    rejected: IntCounter,
    rebuilt: IntCounter,
    renewed_intents: IntCounter,
    topics_made_anew: IntCounter,
    possible_gaps: IntCounter,
    rejoins: IntCounter,
    log_retries: IntCounter,
    insert_seconds: HistogramVec,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    stopped_lanes: IntGaugeVec,
    trouble: IntGaugeVec,
    sink_up: IntGauge,
    partitions: IntGauge,
    buffered_bytes: IntGauge,
    buffer_limit_bytes: IntGauge,
    oldest_intent_seconds: Gauge,
}

impl DeliverMetrics {
    /// Makes and registers them, labelled with the sink's name.
    ///
    /// # Errors
    /// Where `registry` has metrics of the same name and sink.
    pub fn new(registry: &Registry, sink: &str) -> Result<Self, prometheus::Error> {
        let opts =
            |name: &str, help: &str| Opts::new(format!("millstream_deliver_{name}"), help).const_label("sink", sink);
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let made = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let made = IntCounterVec::new(opts(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let made = IntGauge::with_opts(opts(name, help))?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let made = IntGaugeVec::new(opts(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let lag_seconds =
            GaugeVec::new(opts("lag_seconds", "Age of the oldest record that is not in the sink"), &["topic"])?;
        registry.register(Box::new(lag_seconds.clone()))?;
        let oldest_intent_seconds =
            Gauge::with_opts(opts("oldest_intent_seconds", "Age of the oldest intent whose batch is not in the sink"))?;
        registry.register(Box::new(oldest_intent_seconds.clone()))?;
        let insert_seconds = HistogramVec::new(
            HistogramOpts::new("millstream_deliver_insert_seconds", "Seconds that an insert took which went well")
                .const_label("sink", sink)
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0]),
            &["table"],
        )?;
        registry.register(Box::new(insert_seconds.clone()))?;
        let made = Self {
            rows: counters("rows_total", "Rows delivered", &["table"])?,
            batches: counters("batches_total", "Batches delivered", &["table"])?,
            filtered: counters("filtered_total", "Rows kept back for want of consent", &["table"])?,
            retries: counters("retries_total", "Failed inserts, which are tried again", &["table", "reason"])?,
            skipped: counter("skipped_total", "Records that carry no row by design")?,
            rejected: counter("rejected_total", "Unreadable records, now dead letters")?,
            rebuilt: counter("rebuilt_total", "Batches rebuilt from their intent after a restart or rebalance")?,
            renewed_intents: counter("renewed_intents_total", "Intents that outlived the sink's memory of tokens")?,
            topics_made_anew: counter(
                "topics_made_anew_total",
                "Partitions of topics found made anew under the same name",
            )?,
            possible_gaps: counter("possible_gaps_total", "Times retention may have removed records before delivery")?,
            rejoins: counter("rejoins_total", "Times that this member was fenced and joined anew")?,
            log_retries: counter("log_retries_total", "Times that the log was in trouble and was tried again")?,
            insert_seconds,
            lag_records: gauges(
                "lag_records",
                "Offsets that are committed to the log and not in the sink",
                &["topic"],
            )?,
            lag_seconds,
            stopped_lanes: gauges("stopped_lanes", "Partitions whose batch is not taken", &["topic", "reason"])?,
            trouble: gauges(
                "trouble",
                "1 while a table's batches are not taken for this reason",
                &["table", "reason"],
            )?,
            sink_up: gauge("sink_up", "0 while the sink as a whole takes nothing")?,
            partitions: gauge("partitions", "Partitions owned")?,
            buffered_bytes: gauge("buffered_bytes", "Encoded bytes of open batches")?,
            buffer_limit_bytes: gauge("buffer_limit_bytes", "Above so many buffered bytes reading pauses")?,
            oldest_intent_seconds,
        };
        made.sink_up.set(1);
        Ok(made)
    }

    fn count(&self, seen: &DeliverStats, now: &DeliverStats) {
        for (table, stats) in &now.tables {
            let before = seen.tables.get(table).copied().unwrap_or_default();
            self.rows.with_label_values(&[*table]).inc_by(stats.rows - before.rows);
            self.batches.with_label_values(&[*table]).inc_by(stats.batches - before.batches);
            self.filtered.with_label_values(&[*table]).inc_by(stats.filtered - before.filtered);
        }
        for ((table, cause), count) in &now.retries {
            let before = seen.retries.get(&(*table, *cause)).copied().unwrap_or_default();
            self.retries.with_label_values(&[*table, cause.as_str()]).inc_by(count - before);
        }
        self.skipped.inc_by(now.skipped - seen.skipped);
        self.rejected.inc_by(now.rejected - seen.rejected);
        self.rebuilt.inc_by(now.rebuilt - seen.rebuilt);
        self.renewed_intents.inc_by(now.renewed_intents - seen.renewed_intents);
        self.topics_made_anew.inc_by(now.topics_made_anew - seen.topics_made_anew);
        self.possible_gaps.inc_by(now.possible_gaps - seen.possible_gaps);
        self.rejoins.inc_by(now.rejoins - seen.rejoins);
        self.log_retries.inc_by(now.log_retries - seen.log_retries);
    }
}

/// What a deliverer keeps for its metrics; does nothing without them.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    metrics: Option<DeliverMetrics>,
    seen: DeliverStats,
    next_ms: u64,
    /// The partition after which the next refresh asks for ends.
    turn: Option<TopicPartition>,
    stopped: BTreeSet<(String, Cause)>,
    troubled: BTreeSet<(&'static str, Cause)>,
}

impl Observed {
    pub(crate) fn by(metrics: DeliverMetrics) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    pub(crate) fn inserted(&self, table: &str, took: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.insert_seconds.with_label_values(&[table]).observe(took.as_secs_f64());
        }
    }
}

impl<S: Sink> Deliverer<S> {
    /// Brings the metrics up to date, where there are any and the last time is a while ago.
    pub(crate) fn observe(&mut self) {
        let now_ms = self.monotonic_ms();
        let Some(metrics) = self.metrics.metrics.clone().filter(|_| now_ms >= self.metrics.next_ms) else { return };
        self.metrics.next_ms = now_ms + REFRESH_MS;
        metrics.count(&self.metrics.seen, &self.stats);
        self.metrics.seen.clone_from(&self.stats);
        metrics.sink_up.set(i64::from(!self.sink_is_down()));
        metrics.partitions.set(signed(self.partitions() as u64));
        metrics.buffered_bytes.set(signed(self.buffered_bytes() as u64));
        metrics.buffer_limit_bytes.set(signed(self.config.limits.max_buffered_bytes as u64));
        self.ask_for_backlogs();
        self.observe_lag(&metrics);
        self.observe_troubles(&metrics);
    }

    /// The ends of some partitions, in turn. What cannot be said now is asked again later.
    fn ask_for_backlogs(&mut self) {
        if self.must_rejoin || self.monotonic_ms() < self.log_retry_ms {
            return;
        }
        let behind = self.metrics.turn;
        let after = self.lanes.keys().copied().filter(|partition| Some(*partition) > behind);
        let mut asked: Vec<TopicPartition> = after.take(BACKLOGS_A_REFRESH).collect();
        if asked.len() < BACKLOGS_A_REFRESH {
            let first = self.lanes.keys().copied().filter(|partition| Some(*partition) <= behind);
            asked.extend(first.take(BACKLOGS_A_REFRESH - asked.len()));
        }
        for partition in asked {
            let Ok(Some(backlog)) = self.member.backlog(partition) else { return };
            if let Some(lane) = self.lanes.get_mut(&partition) {
                lane.backlog = backlog;
            }
            self.metrics.turn = Some(partition);
        }
    }

    fn observe_lag(&self, metrics: &DeliverMetrics) {
        let now_ms = self.clock.now_ms();
        let mut oldest_intent_ms = None;
        for (index, route) in self.routes.iter().enumerate() {
            let of_topic = || self.lanes.values().filter(|lane| usize::from(lane.partition.topic) == index);
            let records: u64 = of_topic().map(|lane| lane.lag_records()).sum();
            let oldest_ms = of_topic().map(|lane| lane.lag_ms(now_ms)).max().unwrap_or(0);
            metrics.lag_records.with_label_values(&[route.topic.as_str()]).set(signed(records));
            metrics.lag_seconds.with_label_values(&[route.topic.as_str()]).set(oldest_ms as f64 / 1_000.0);
            let intents = of_topic().filter_map(|lane| match lane.open.as_ref()?.phase {
                Phase::Intended { at_ms } => Some(at_ms),
                _ => None,
            });
            oldest_intent_ms = intents.chain(oldest_intent_ms).min();
        }
        let age_ms = oldest_intent_ms.map_or(0, |at_ms| (now_ms - at_ms).max(0));
        metrics.oldest_intent_seconds.set(age_ms as f64 / 1_000.0);
    }

    fn observe_troubles(&mut self, metrics: &DeliverMetrics) {
        let (mut stopped, mut troubled) = (BTreeSet::new(), BTreeSet::new());
        for (index, route) in self.routes.iter().enumerate() {
            let Some(trouble) = self.troubles.concerning(route.table) else { continue };
            let lanes =
                self.lanes.values().filter(|lane| usize::from(lane.partition.topic) == index && lane.is_stuck());
            let count = lanes.count() as u64;
            metrics.stopped_lanes.with_label_values(&[route.topic.as_str(), trouble.cause.as_str()]).set(signed(count));
            metrics.trouble.with_label_values(&[route.table, trouble.cause.as_str()]).set(1);
            stopped.insert((route.topic.clone(), trouble.cause));
            troubled.insert((route.table, trouble.cause));
        }
        for (topic, cause) in self.metrics.stopped.difference(&stopped) {
            metrics.stopped_lanes.with_label_values(&[topic.as_str(), cause.as_str()]).set(0);
        }
        for (table, cause) in self.metrics.troubled.difference(&troubled) {
            metrics.trouble.with_label_values(&[*table, cause.as_str()]).set(0);
        }
        (self.metrics.stopped, self.metrics.troubled) = (stopped, troubled);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
