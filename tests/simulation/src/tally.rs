//! What happened, counted.

use std::collections::BTreeMap;
use std::fmt;

/// Something that went wrong, or was made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// A commit was applied, and nobody said so.
    CommitUnknownApplied,
    /// A commit was not applied, and nobody said so.
    CommitUnknownDropped,
    /// A commit was aborted.
    CommitAborted,
    /// A commit was refused: another member had taken over, or the membership had ended.
    CommitFenced,
    /// A member lost its partitions and was given them back.
    Rebalance,
    /// A membership ended.
    MembershipLost,
    /// Somebody else set a committed offset back.
    ForeignOffsetCommit,
    /// An append failed.
    AppendFailed,
    /// An append was stored and said to have failed.
    AppendStoredButFailed,
    /// Appends waited for their sync when the log went down.
    AppendsLost,
    /// A client sent again what was acknowledged.
    SentAgain,
    /// A process died between two calls.
    ProcessKilled,
    /// A process died within a call to the log or the warehouse.
    KilledInCall,
    /// A process left in order.
    ProcessLeft,
    /// The log went down and came back with what was synced; the processes lived on.
    LogRestarted,
    /// The log and all processes died at once.
    PowerLost,
    /// The log did not answer for a while.
    LogUnreachable,
    /// Others went on while a call was under way.
    Interlude,
    /// A process stood still within a call for longer than its session lives.
    FrozenInCall,
    /// Time passed without a step of anybody.
    AllFrozen,
    /// A second process of the same name ran.
    SplitBrain,
    /// An insert failed.
    InsertFailed,
    /// An insert was stored and said to have failed.
    InsertStoredButFailed,
    /// The warehouse was down for a while.
    WarehouseDown,
    /// A call to the snapshot store failed.
    StoreFailed,
    /// A snapshot's object was stored, and said not to be.
    StoredButFailed,
    /// A snapshot was damaged, or a part of it removed.
    SnapshotHarmed,
    /// The log lost the beginning of a partition.
    LogTrimmed,
}

/// Counts of one or many seeds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seeds played.
    pub seeds: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Events sent and acknowledged, each counted once.
    pub events: u64,
    /// Copies of events in the log.
    pub copies: u64,
    /// Records that the stages wrote.
    pub outputs: u64,
    /// Epochs and offset commits that went through.
    pub commits: u64,
    /// Sessions in the end.
    pub sessions: u64,
    /// Orders in the end.
    pub orders: u64,
    /// Sources whose state was handed over to another partition.
    pub hand_overs: u64,
    /// Events refused because they were too late.
    pub too_late: u64,
    /// Rows in the warehouse.
    pub rows: u64,
    /// Snapshots written, by workers that lived to tell.
    pub snapshots: u64,
    /// Tasks restored from a snapshot.
    pub restored: u64,
    /// Tasks taken over from a standby.
    pub from_standby: u64,
    /// What went wrong, and how often.
    pub strikes: BTreeMap<Strike, u64>,
}

impl Tally {
    /// Counts one.
    pub fn strike(&mut self, strike: Strike) {
        *self.strikes.entry(strike).or_default() += 1;
    }

    /// How often something went wrong.
    pub fn count(&self, strike: Strike) -> u64 {
        self.strikes.get(&strike).copied().unwrap_or_default()
    }

    /// Adds another seed's.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.events += other.events;
        self.copies += other.copies;
        self.outputs += other.outputs;
        self.commits += other.commits;
        self.sessions += other.sessions;
        self.orders += other.orders;
        self.hand_overs += other.hand_overs;
        self.too_late += other.too_late;
        self.rows += other.rows;
        self.snapshots += other.snapshots;
        self.restored += other.restored;
        self.from_standby += other.from_standby;
        for (strike, count) in &other.strikes {
            *self.strikes.entry(*strike).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("seeds", self.seeds),
            ("steps", self.steps),
            ("events acknowledged", self.events),
            ("copies in the log", self.copies),
            ("records written", self.outputs),
            ("commits", self.commits),
            ("sessions", self.sessions),
            ("orders", self.orders),
            ("hand-overs", self.hand_overs),
            ("too late", self.too_late),
            ("warehouse rows", self.rows),
            ("snapshots", self.snapshots),
            ("restored from one", self.restored),
            ("taken from a standby", self.from_standby),
        ];
        for (name, count) in lines {
            writeln!(f, "{name:24} {count:>12}")?;
        }
        for (strike, count) in &self.strikes {
            writeln!(f, "  {:22} {count:>12}", format!("{strike:?}"))?;
        }
        Ok(())
    }
}
