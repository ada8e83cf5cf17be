//! Why a sink does not take a batch, in words that metrics and alerts use.

/// What is the matter with a sink. The names are labels of metrics and stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// No answer: refused, reset, timed out. Whether the batch is in is unknown.
    Unreachable,
    /// It answers that it has too much to do.
    Overloaded,
    /// The table has more parts than it can merge; it needs time, and fewer inserts.
    TooManyParts,
    /// The sink has not enough memory for the insert now.
    MemoryLimit,
    /// The sink's disk is full.
    DiskFull,
    /// The table takes no writes now.
    ReadOnly,
    /// What coordinates the sink's replicas does not answer, or too few replicas do.
    Coordination,
    /// The table is not as this binary needs it.
    SchemaDrift,
    /// Login or permission.
    NotAllowed,
    /// It refuses for a reason of its own.
    Refused,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::Overloaded,
        Self::TooManyParts,
        Self::MemoryLimit,
        Self::DiskFull,
        Self::ReadOnly,
        Self::Coordination,
        Self::SchemaDrift,
        Self::NotAllowed,
        Self::Refused,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Overloaded => "overloaded",
            Self::TooManyParts => "too_many_parts",
            Self::MemoryLimit => "memory_limit",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Coordination => "coordination",
            Self::SchemaDrift => "schema_drift",
            Self::NotAllowed => "not_allowed",
            Self::Refused => "refused",
        }
    }

    /// Whether it concerns one table, and the others go on; else the whole sink is left alone for a while.
    pub fn is_of_one_table(self) -> bool {
        matches!(self, Self::TooManyParts | Self::ReadOnly | Self::SchemaDrift | Self::Refused)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Cause;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
    }
}
