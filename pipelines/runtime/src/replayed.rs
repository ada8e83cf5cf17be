//! One task run again over its recorded input, outside any group: what it would have written, transaction by transaction.

use millstream_transports::{Append, RecordRef, TopicPartition};

use crate::outputs::Outputs;
use crate::stage::Stage;
use crate::task::{Processed, Task};

/// A task that reads recorded input and writes nowhere.
pub struct ReplayedTask {
    task: Task,
    out: Outputs,
}

/// What became of a record that was given to a [`ReplayedTask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayStep {
    /// It was taken in.
    Taken,
    /// The stage panicked on it. The open transaction is undone: its records must come again from this offset on; this one is then
    /// diverted, as it was when it was first processed.
    Again(u64),
}

impl ReplayedTask {
    /// A task whose state is that of all records before `start`.
    pub fn new(at: TopicPartition, stage: Box<dyn Stage>, start: u64) -> Self {
        Self { task: Task::new(at, stage, start, start), out: Outputs::new() }
    }

    /// Processes one record.
    pub fn process(&mut self, record: RecordRef<'_>) -> ReplayStep {
        match self.task.process(record, &mut self.out) {
            Processed::Panicked(_) => {
                self.out.clear();
                ReplayStep::Again(self.task.undo_epoch())
            }
            _ => ReplayStep::Taken,
        }
    }

    /// Ends a transaction: hands over what it wrote, in order.
    pub fn end_transaction(&mut self, mut each: impl FnMut(Append<'_>)) {
        self.out.iter().for_each(&mut each);
        self.out.clear();
        self.task.commit_epoch();
    }

    /// Why the stage can take no more input, if so.
    pub fn blocked(&self) -> Option<String> {
        self.task.blocked()
    }
}
