//! What a seed decides before the first step: how large the world is, how it is set, how often what goes wrong.

use crate::mutation::Mutation;
use crate::random::Random;

/// The shop of every simulation.
pub const SITE: &str = "shop";
/// When it opens, milliseconds since the epoch: a midnight.
pub const START_MS: i64 = 1_790_035_200_000;

/// Settings of the shop. Gaps and horizons are short, so that sessions close and events come late within the few hours played.
const SETTINGS: [&str; 5] = [
    r#"{"session_gap_ms":600000,"horizon_ms":3600000}"#,
    r#"{"session_gap_ms":300000,"horizon_ms":7200000,"session_source":"tracker"}"#,
    r#"{"session_gap_ms":900000,"horizon_ms":5400000,"new_session_on_campaign":true,"timezone":"Asia/Tokyo"}"#,
    r#"{"session_gap_ms":600000,"horizon_ms":3600000,"attribution_half_life_ms":1800000,"timezone":"Europe/London"}"#,
    r#"{"session_gap_ms":1200000,"horizon_ms":10800000,"consent_default":["analytics"],"keep_declared_bots":true}"#,
];

/// Chances in a thousand; each is asked at every occasion of its kind.
#[derive(Debug, Clone)]
pub struct Chances {
    /// A commit goes wrong.
    pub commit: u32,
    /// A poll hears of a rebalance or a lost membership.
    pub poll: u32,
    /// An acknowledged append fails, or is stored and fails.
    pub append: u32,
    /// An insert fails, or is stored and fails.
    pub insert: u32,
    /// A call to the snapshot store fails, or is done and fails.
    pub store: u32,
    /// A process dies within a call.
    pub kill: u32,
    /// Others go on while a call is under way; now and then for longer than the session lives.
    pub interlude: u32,
}

/// What happens to snapshots and to the log that they spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hoard {
    /// Both are kept as they are.
    Kept,
    /// The log loses what no recovery needs.
    Trimmed,
    /// Snapshots are damaged or removed; the log, kept whole, is what recovery falls back to.
    Damaged,
}

/// How snapshots are taken.
#[derive(Debug, Clone, Copy)]
pub struct Snapshots {
    /// Least time between two of a task, by the machine's clock.
    pub interval_ms: u64,
    /// Whether a worker that leaves in order takes a last one.
    pub at_close: bool,
    /// What happens to them.
    pub hoard: Hoard,
    /// Whether each process keeps standbys of what others own.
    pub standbys: bool,
}

/// Everything that a seed decides beforehand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Steps of the scheduler before faults end.
    pub steps: u64,
    /// Partitions of every partitioned topic.
    pub partitions: u32,
    /// Processes, each with an ingest worker, a profile worker and a deliverer. Each may also have a twin of the same name.
    pub processes: usize,
    /// The shop's settings.
    pub settings: &'static str,
    /// About how much a poll delivers.
    pub poll_bytes: usize,
    /// Longest epoch.
    pub epoch_ms: u64,
    /// Most output bytes of an epoch.
    pub epoch_bytes: usize,
    /// How long an idle ingest partition waits before it appends a tick.
    pub tick_after_ms: u64,
    /// Whether acknowledged appends are synced by a step of its own, so that a crash can lose them; else at once.
    pub sync_later: bool,
    /// Rows of a batch at most.
    pub batch_rows: usize,
    /// How long the sink remembers a token, by the shop's clock.
    pub token_window_ms: i64,
    /// Visitors that the simulated shop has beside those of the busy one.
    pub people: u32,
    /// Chances.
    pub chances: Chances,
    /// How snapshots are taken; `None`: state is made anew from the whole log.
    pub snapshots: Option<Snapshots>,
    /// Whether somebody outside sets committed offsets back.
    pub foreign_commits: bool,
    /// A bug that is planted.
    pub mutation: Option<Mutation>,
}

impl Plan {
    /// How long a member lives that is not heard of, by the machine's clock.
    pub const SESSION_TIMEOUT_MS: i64 = 1_000;
    /// How long a transaction may stay open.
    pub const TRANSACTION_TIMEOUT_MS: i64 = 800;
    /// How long a member may go without polling.
    pub const POLL_INTERVAL_MS: i64 = 1_500;

    /// The same without standbys.
    pub fn without_standbys(self) -> Self {
        let snapshots = self.snapshots.map(|snapshots| Snapshots { standbys: false, ..snapshots });
        Self { snapshots, ..self }
    }

    /// How late an event may come.
    pub fn horizon_ms(&self) -> i64 {
        let settings: serde_json::Value = serde_json::from_str(self.settings).unwrap_or_default();
        settings["horizon_ms"].as_i64().unwrap_or_default()
    }

    /// The plan of a seed.
    pub fn of(seed: u64, steps: u64) -> Self {
        let mut random = Random::of(seed, 1);
        // Some seeds are calm, some are hell.
        let heat = *random.pick(&[1u32, 1, 2, 2, 3, 5]);
        Self {
            seed,
            steps,
            partitions: *random.pick(&[1, 2, 3, 3, 4]),
            processes: *random.pick(&[1, 2, 2, 3]),
            settings: SETTINGS[random.index(SETTINGS.len())],
            poll_bytes: *random.pick(&[400, 2_000, 10_000, 1 << 20]),
            epoch_ms: *random.pick(&[5, 20, 60]),
            epoch_bytes: *random.pick(&[1, 4_000, 1 << 20]),
            tick_after_ms: *random.pick(&[50, 300, 2_000]),
            sync_later: random.permille(700),
            batch_rows: *random.pick(&[3, 20, 1_000]),
            token_window_ms: *random.pick(&[1_200_000, 7_200_000, 86_400_000]),
            people: *random.pick(&[0, 2, 5]),
            chances: Chances {
                commit: 15 * heat,
                poll: 4 * heat,
                append: 30 * heat,
                insert: 25 * heat,
                store: 6 * heat,
                kill: heat,
                interlude: 8 * heat,
            },
            snapshots: random.permille(800).then(|| Snapshots {
                interval_ms: *random.pick(&[0, 100, 600, 3_000]),
                at_close: random.permille(500),
                standbys: random.permille(500),
                hoard: *random.pick(&[Hoard::Kept, Hoard::Trimmed, Hoard::Trimmed, Hoard::Damaged]),
            }),
            foreign_commits: true,
            mutation: None,
        }
    }
}
