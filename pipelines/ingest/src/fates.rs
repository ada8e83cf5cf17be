//! What became of each record: accepted = written on, rejected, or dropped with a reason. Nothing else happens to one.

use std::sync::atomic::{AtomicU64, Ordering};

use millstream_operators::core::encoding::{write, write_count};
use millstream_operators::core::{StateError, StateReader};
use millstream_runtime::FateCount;

/// What can become of a record, and what is worth counting beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Fate {
    /// Written to `events`.
    Accepted,
    /// Written to `events.rejected`, bytes kept.
    Rejected,
    /// Dropped: its id was seen within the horizon.
    Duplicate,
    /// Dropped: a bot that says so.
    DeclaredBot,
    /// Dropped: its consent allows no purpose.
    ConsentRefused,
    /// Took effect itself: a tick or a control record.
    Applied,
    /// Noted on an accepted event: an identify that would have joined two users.
    IdentifyConflict,
    /// Noted on an accepted event: neither device nor user.
    NoIdentity,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Rejected,
        Self::Duplicate,
        Self::DeclaredBot,
        Self::ConsentRefused,
        Self::Applied,
        Self::IdentifyConflict,
        Self::NoIdentity,
    ];

    /// The name in metrics and ledgers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
            Self::DeclaredBot => "declared_bot",
            Self::ConsentRefused => "consent_refused",
            Self::Applied => "applied",
            Self::IdentifyConflict => "identify_conflict",
            Self::NoIdentity => "no_identity",
        }
    }

    /// Whether it is what became of a record; the others are noted on accepted ones.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::IdentifyConflict | Self::NoIdentity)
    }
}

/// Version of the encoding of [`Fates`].
const VERSION: u8 = 1;

/// More records than a partition will ever have: counts beyond it are damage.
const COUNT_MAX: u64 = 1 << 48;

/// Counts of fates. Small enough to be saved by copying.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fates([u64; Fate::ALL.len()]);

impl Fates {
    /// Counts one.
    pub fn count(&mut self, fate: Fate) {
        if let Some(count) = self.0.get_mut(fate as usize) {
            *count += 1;
        }
    }

    /// How many there were.
    pub fn get(&self, fate: Fate) -> u64 {
        self.0.get(fate as usize).copied().unwrap_or_default()
    }

    /// What became of the records, by name; what is only noted on accepted ones is left out, so that the counts sum up to
    /// [`Fates::records`].
    pub fn by_name(&self) -> Vec<FateCount> {
        let finals = Fate::ALL.into_iter().filter(|fate| fate.is_final());
        finals.map(|fate| FateCount { name: fate.name(), records: self.get(fate) }).collect()
    }

    /// Appends them, for a snapshot.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write_count(out, self.0.len());
        // Below 2⁴⁸.
        self.0.iter().for_each(|count| write::long(out, *count as i64));
    }

    /// Reads what [`Fates::encode`] wrote, in this version of it or an older one, which may know fewer fates.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let mut fates = Self::default();
        let known = reader.count("fates", Fate::ALL.len())?;
        for count in fates.0.iter_mut().take(known) {
            *count = reader.small()?;
            if *count > COUNT_MAX {
                return Err(StateError::impossible(format!("{count} records of one fate")));
            }
        }
        reader.finish()?;
        Ok(fates)
    }

    /// Records in all: each has exactly one final fate.
    pub fn records(&self) -> u64 {
        Fate::ALL.into_iter().filter(|fate| fate.is_final()).map(|fate| self.get(fate)).sum()
    }
}

/// Fates of committed epochs, summed over the partitions of a process; metrics read it while stages work.
///
/// A partition that is recovered is counted again from where its replay begins, as it is processed again.
#[derive(Debug, Default)]
pub struct FateTotals([AtomicU64; Fate::ALL.len()]);

impl FateTotals {
    /// Adds what a partition's epoch brought.
    pub fn add(&self, before: &Fates, after: &Fates) {
        for fate in Fate::ALL {
            if let Some(total) = self.0.get(fate as usize) {
                total.fetch_add(after.get(fate) - before.get(fate), Ordering::Relaxed);
            }
        }
    }

    /// How many there were.
    pub fn get(&self, fate: Fate) -> u64 {
        self.0.get(fate as usize).map_or(0, |total| total.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_one_final_fate() {
        let mut fates = Fates::default();
        for (index, fate) in Fate::ALL.into_iter().enumerate() {
            assert_eq!(fate as usize, index);
            fates.count(fate);
        }
        assert_eq!(fates.records(), 6);
        assert_eq!(fates.by_name().iter().map(|fate| fate.records).sum::<u64>(), 6);
        let totals = FateTotals::default();
        totals.add(&Fates::default(), &fates);
        totals.add(&fates, &fates);
        assert!(Fate::ALL.into_iter().all(|fate| totals.get(fate) == 1));
    }
}
