//! Names of a task's objects.

use std::fmt;

/// What the names of a task's objects begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskName {
    /// Namespace and stage.
    pub group: String,
    /// Input partition.
    pub partition: u32,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:05}", self.group, self.partition)
    }
}

impl TaskName {
    /// What all manifests' names begin with.
    pub fn manifests(&self) -> String {
        format!("{self}/manifest-")
    }

    /// A snapshot's manifest. Its name holds the number alone, so that of two writers one wins.
    pub fn manifest(&self, number: u64) -> String {
        format!("{}{number:012}.json", self.manifests())
    }

    /// What all data files' names begin with.
    pub fn data(&self) -> String {
        format!("{self}/data-")
    }

    /// A data file: written by that generation towards that snapshot.
    pub fn data_file(&self, generation: u64, number: u64, file: u64) -> String {
        format!("{}{generation:08}-{number:012}-{file:05}", self.data())
    }

    /// What the names of all owners' records begin with.
    pub fn owners(&self) -> String {
        format!("{self}/owner-")
    }

    /// The record of one owner.
    pub fn owner(&self, generation: u64) -> String {
        format!("{}{generation:08}", self.owners())
    }
}

/// The number after the last `-`, up to a `.`: of a manifest or owner.
pub fn number_of(name: &str) -> Option<u64> {
    let (_, number) = name.rsplit_once('-')?;
    number.split('.').next()?.parse().ok()
}

/// Generation and snapshot number of a data file.
pub fn written_for(name: &str) -> Option<(u64, u64)> {
    let (_, numbers) = name.rsplit_once("/data-")?;
    let mut numbers = numbers.split('-').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
