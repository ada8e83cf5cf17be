//! The consumer: polls, fills batches, flushes them in time, and never lets the sink's troubles grow its memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_runtime::Clock;
use millstream_schemas::Rejected;
use millstream_transports::{Batch, Change, Member, TopicPartition, Transport, TransportError};

use crate::config::DeliverConfig;
use crate::error::DeliverError;
use crate::lane::{Lane, Phase};
use crate::membership::{Fencings, join};
use crate::metrics::{DeliverMetrics, Observed};
use crate::routes::{Route, routes};
use crate::sink::Sink;
use crate::stats::DeliverStats;
use crate::troubles::{Trouble, Troubles};

/// How often an idle deliverer lets its sink keep house, in milliseconds.
const HOUSEKEEPING_MS: u64 = 5_000;
/// A log of which no trouble was heard for so long is well, in milliseconds.
const LOG_QUIET_MS: u64 = 1_000;
/// Longest poll of a drain.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Records polled.
    pub records: usize,
    /// Batches delivered.
    pub batches: u64,
    /// Whether the log or the sink is being waited for.
    pub stalled: bool,
}

/// Delivers the partitions that it owns into one sink. One thread; as many of them as the group should have members.
pub struct Deliverer<S: Sink> {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) member: Box<dyn Member>,
    pub(crate) sink: S,
    pub(crate) config: DeliverConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) routes: Vec<Route>,
    /// Partitions of the dead-letter topic.
    pub(crate) dead_letter_partitions: u32,
    pub(crate) lanes: BTreeMap<TopicPartition, Lane<S::Rows>>,
    /// Assigned, but the log did not yet say where to begin.
    pub(crate) starting: Vec<TopicPartition>,
    pub(crate) stats: DeliverStats,
    /// What keeps the sink, or tables of it, from taking batches.
    pub(crate) troubles: Troubles,
    /// Monotonic time before which the log is left alone, milliseconds.
    pub(crate) log_retry_ms: u64,
    /// Failures of the log in a row.
    pub(crate) log_failures: u32,
    /// Whether the member was fenced and none has taken its place yet.
    pub(crate) must_rejoin: bool,
    pub(crate) joined: bool,
    pub(crate) fencings: Fencings,
    pub(crate) metrics: Observed,
    housekeeping_ms: u64,
    /// Monotonic time at which the topics' identities are asked again, milliseconds.
    pub(crate) identities_ms: u64,
    polled: Batch,
    changes: Vec<Change>,
}

impl<S: Sink> Deliverer<S> {
    /// Joins the group; nothing is read before the first [`Deliverer::step`].
    pub fn open(
        transport: Arc<dyn Transport>,
        sink: S,
        config: DeliverConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeliverError> {
        config.limits.check().map_err(DeliverError::Config)?;
        let routes = routes(&*transport, &config.topic_prefix, &config.group)?;
        let failed = |source| DeliverError::Transport { group: config.group.clone(), source };
        let dead_letters = format!("{}{}", config.topic_prefix, Rejected::TOPIC);
        let dead_letter_partitions = transport.partition_count(&dead_letters).map_err(failed)?;
        let member = join(&*transport, &config, &routes).map_err(failed)?;
        Ok(Self {
            transport,
            member,
            sink,
            clock,
            routes,
            dead_letter_partitions,
            config,
            lanes: BTreeMap::new(),
            starting: Vec::new(),
            stats: DeliverStats::default(),
            troubles: Troubles::default(),
            log_retry_ms: 0,
            log_failures: 0,
            must_rejoin: false,
            joined: false,
            fencings: Fencings::default(),
            metrics: Observed::default(),
            housekeeping_ms: 0,
            identities_ms: 0,
            polled: Batch::new(),
            changes: Vec::new(),
        })
    }

    /// Counts into these metrics from now on.
    #[must_use]
    pub fn observed_by(mut self, metrics: DeliverMetrics) -> Self {
        self.metrics = Observed::by(metrics);
        self
    }

    /// Polls once, for `max_wait` at the latest, and delivers what is due.
    ///
    /// After an error nothing further must be tried with this deliverer; what it held is in the log, and a new one goes on there.
    pub fn step(&mut self, max_wait: Duration) -> Result<Step, DeliverError> {
        let before = self.stats.batches();
        if self.must_rejoin && !self.try_rejoin()? {
            self.observe();
            return Ok(Step { records: 0, batches: 0, stalled: true });
        }
        let (mut polled, mut changes) = (std::mem::take(&mut self.polled), std::mem::take(&mut self.changes));
        let step = self.poll_and_take(self.poll_wait(max_wait), &mut polled, &mut changes);
        let records = polled.len();
        (self.polled, self.changes) = (polled, changes);
        step?;
        self.flush_due()?;
        self.rule_pauses()?;
        if records == 0 {
            self.check_rebuilds_can_end()?;
            self.keep_house();
        }
        self.check_identities()?;
        self.observe();
        let stalled = self.must_rejoin || self.sink_is_down() || self.monotonic_ms() < self.log_retry_ms;
        Ok(Step { records, batches: self.stats.batches() - before, stalled })
    }

    fn poll_and_take(
        &mut self,
        wait: Duration,
        polled: &mut Batch,
        changes: &mut Vec<Change>,
    ) -> Result<(), DeliverError> {
        changes.clear();
        match self.member.poll(wait, polled, changes) {
            Ok(()) => {
                let quiet_since = self.log_retry_ms + LOG_QUIET_MS;
                if !polled.is_empty() || !changes.is_empty() || self.monotonic_ms() >= quiet_since {
                    self.log_answers();
                }
            }
            Err(TransportError::Unavailable(why)) => {
                polled.clear();
                self.wait_for_log(&why);
            }
            Err(TransportError::Fenced(why)) => {
                polled.clear();
                return self.rejoin(&why);
            }
            Err(source) => return Err(self.transport_error(source)),
        }
        for change in changes.drain(..) {
            self.joined = true;
            self.apply(change);
        }
        self.start_lanes()?;
        let now_ms = self.monotonic_ms();
        for record in polled.iter() {
            if self.take(&record, now_ms)? {
                // What else is due goes with it, in turn: a backlog in one partition keeps no other waiting.
                self.flush_due()?;
            }
        }
        self.rewind_lanes()
    }

    /// Flushes what is full, old enough, or tried again; where memory is short, also the largest batches.
    fn flush_due(&mut self) -> Result<(), DeliverError> {
        let now_ms = self.monotonic_ms();
        if !self.may_flush(now_ms) {
            return Ok(());
        }
        let large = self.largest_beyond_memory();
        let is_due = |lane: &&Lane<S::Rows>| self.is_due(lane, now_ms, large.contains(&lane.partition));
        let due: Vec<TopicPartition> = self.lanes.values().filter(is_due).map(|lane| lane.partition).collect();
        if due.is_empty() { Ok(()) } else { self.flush(&due) }
    }

    /// The largest batches, so many that half of the memory is free when they are gone; none where memory is not short. Small ones
    /// stay: flushing them would free little, and make many small parts in the sink's tables.
    fn largest_beyond_memory(&self) -> Vec<TopicPartition> {
        let (buffered, limit) = (self.buffered_bytes(), self.config.limits.max_buffered_bytes);
        if buffered <= limit {
            return Vec::new();
        }
        let mut by_size: Vec<(usize, TopicPartition)> =
            self.lanes.values().map(|lane| (self.open_bytes(lane), lane.partition)).collect();
        by_size.sort_unstable_by(|one, other| other.cmp(one));
        let mut left = buffered;
        let taken = by_size.into_iter().take_while(|(bytes, _)| {
            let goes = left > limit / 2;
            left = left.saturating_sub(*bytes);
            goes
        });
        taken.map(|(_, partition)| partition).collect()
    }

    fn open_bytes(&self, lane: &Lane<S::Rows>) -> usize {
        lane.open.as_ref().map_or(0, |open| self.sink.size_bytes(&open.rows) + open.dead_letter_bytes)
    }

    fn is_due(&self, lane: &Lane<S::Rows>, now_ms: u64, at_once: bool) -> bool {
        let Some(open) = &lane.open else { return false };
        if now_ms < self.retry_ms(lane) {
            return false;
        }
        match open.phase {
            Phase::Filling if lane.is_rebuilding() => false,
            Phase::Filling => at_once || now_ms >= open.opened_ms + self.age_limit_ms(lane),
            _ => true,
        }
    }

    fn age_limit_ms(&self, lane: &Lane<S::Rows>) -> u64 {
        let partitions = self.routes.get(usize::from(lane.partition.topic)).map_or(1, |route| route.partitions);
        self.config.limits.age_limit_ms(partitions)
    }

    /// Monotonic time before which this lane's table is left alone, milliseconds.
    fn retry_ms(&self, lane: &Lane<S::Rows>) -> u64 {
        let route = self.routes.get(usize::from(lane.partition.topic));
        route.map_or(0, |route| self.troubles.retry_ms(route.table))
    }

    fn may_flush(&self, now_ms: u64) -> bool {
        !self.must_rejoin && now_ms >= self.log_retry_ms
    }

    /// How long a poll may last without a batch growing too old.
    fn poll_wait(&self, max_wait: Duration) -> Duration {
        let now_ms = self.monotonic_ms();
        let next_ms = self.lanes.values().filter_map(|lane| {
            let open = lane.open.as_ref()?;
            Some(match open.phase {
                Phase::Filling => (open.opened_ms + self.age_limit_ms(lane)).max(self.retry_ms(lane)),
                _ => self.retry_ms(lane),
            })
        });
        match next_ms.min() {
            // A batch that is due already was held up: a short wait lets time pass.
            Some(next_ms) => max_wait.min(Duration::from_millis(next_ms.saturating_sub(now_ms).max(1))),
            None => max_wait,
        }
    }

    /// Partitions whose batch is complete and stuck, and all of them where memory is short, are not read from.
    fn rule_pauses(&mut self) -> Result<(), DeliverError> {
        let short = self.buffered_bytes() > self.config.limits.max_buffered_bytes;
        let mut failed = None;
        for lane in self.lanes.values_mut() {
            let pause = lane.is_stuck() || (short && !lane.is_rebuilding());
            if pause == lane.paused {
                continue;
            }
            let ruled = if pause { self.member.pause(lane.partition) } else { self.member.resume(lane.partition) };
            match ruled {
                Ok(()) => lane.paused = pause,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), |error| self.log_trouble(error))
    }

    /// Whether everything that was committed by now, in the partitions owned, is in the sink. False before the first assignment.
    pub fn caught_up(&mut self) -> Result<bool, DeliverError> {
        if !self.joined || self.must_rejoin || !self.starting.is_empty() {
            return Ok(false);
        }
        if self.lanes.values().any(|lane| lane.open.is_some() || lane.is_rebuilding() || lane.rewind) {
            return Ok(false);
        }
        for partition in self.lanes.keys() {
            match self.member.at_end(*partition) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return self.log_trouble(error).map(|()| false),
            }
        }
        Ok(true)
    }

    /// Delivers open batches now, however young.
    pub fn flush_open(&mut self) -> Result<(), DeliverError> {
        let now_ms = self.monotonic_ms();
        if !self.may_flush(now_ms) {
            return Ok(());
        }
        let due: Vec<TopicPartition> =
            self.lanes.values().filter(|lane| self.is_due(lane, now_ms, true)).map(|lane| lane.partition).collect();
        if due.is_empty() { Ok(()) } else { self.flush(&due) }
    }

    /// Steps until caught up, without waiting for batches to fill. False where `give_up` passed first.
    pub fn drain(&mut self, give_up: Duration) -> Result<bool, DeliverError> {
        let deadline = self.clock.monotonic() + give_up;
        loop {
            let step = self.step(DRAIN_POLL)?;
            if step.records == 0 {
                self.flush_open()?;
                if self.caught_up()? {
                    return Ok(true);
                }
            }
            if self.clock.monotonic() >= deadline {
                return Ok(false);
            }
            if step.stalled {
                // A stalled step may have come back at once: waiting must not burn a core.
                std::thread::sleep(DRAIN_POLL);
            }
        }
    }

    /// Leaves the group in order, so that others take over at once. What is open is delivered by whoever does.
    pub fn close(self) -> Result<(), DeliverError> {
        let group = self.config.group;
        self.member.close().map_err(|source| DeliverError::Transport { group, source })
    }

    /// Counters.
    pub fn stats(&self) -> &DeliverStats {
        &self.stats
    }

    /// Encoded bytes of all open batches.
    pub fn buffered_bytes(&self) -> usize {
        self.lanes.values().map(|lane| self.open_bytes(lane)).sum()
    }

    /// Partitions owned now.
    pub fn partitions(&self) -> usize {
        self.lanes.len() + self.starting.len()
    }

    /// Whether the last attempt to insert found the sink down, and not just one table of it.
    pub fn sink_is_down(&self) -> bool {
        self.troubles.of_sink().is_some()
    }

    /// What keeps batches of this table waiting now, if anything does.
    pub fn trouble(&self, table: &str) -> Option<&Trouble> {
        self.troubles.concerning(table)
    }

    fn keep_house(&mut self) {
        let now_ms = self.monotonic_ms();
        if now_ms >= self.housekeeping_ms && self.lanes.values().all(|lane| lane.open.is_none()) {
            self.housekeeping_ms = now_ms + HOUSEKEEPING_MS;
            if let Err(error) = self.sink.idle() {
                tracing::warn!(group = self.config.group, %error, "housekeeping failed");
            }
        }
    }

    pub(crate) fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn transport_error(&self, source: TransportError) -> DeliverError {
        DeliverError::Transport { group: self.config.group.clone(), source }
    }
}
