//! The publisher on a thread of its own, or, for simulation, in the caller's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::SnapshotSettings;
use super::entries::Entries;
use super::manifest::Manifest;
use super::names::TaskName;
use super::publisher::{Holding, PublishError, Published, Publisher};

/// Bytes that may wait for the store. Beyond it tasks write no more until it has caught up.
pub const MOST_WAITING_BYTES: usize = 48 << 20;

/// What is to be done.
enum Work {
    Adopt(TaskName, Holding),
    Write(TaskName, Entries),
    Finish(TaskName, u64, Box<Manifest>),
    Release(TaskName, u64),
}

/// A snapshot that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Whose.
    pub task: TaskName,
    /// Generation of the owner that it was written for.
    pub generation: u64,
    /// Whether it is there.
    pub result: Result<Published, PublishError>,
}

enum Place {
    Here(Box<Publisher>, VecDeque<Ended>),
    Thread { work: Option<Sender<Work>>, ended: Receiver<Ended>, thread: Option<JoinHandle<()>> },
}

/// Takes what tasks write to the store.
pub struct Background {
    place: Place,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Background {
    /// Starts the thread, where there is to be one.
    pub fn start(settings: &SnapshotSettings) -> Self {
        let mut publisher = Publisher::new(Arc::clone(&settings.store), settings.keep_days);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        if !settings.in_background {
            return Self { place: Place::Here(Box::new(publisher), VecDeque::new()), waiting_bytes };
        }
        // Bounded by `waiting_bytes`: who writes asks `is_full` before.
        let (work, todo) = channel();
        let (tell, ended) = channel();
        let waiting = Arc::clone(&waiting_bytes);
        let thread = std::thread::spawn(move || {
            for work in todo {
                if let Some(ended) = perform(&mut publisher, work, &waiting)
                    && tell.send(ended).is_err()
                {
                    return;
                }
            }
        });
        Self { place: Place::Thread { work: Some(work), ended, thread: Some(thread) }, waiting_bytes }
    }

    fn send(&mut self, work: Work) {
        match &mut self.place {
            Place::Here(publisher, ended) => ended.extend(perform(publisher, work, &self.waiting_bytes)),
            Place::Thread { work: sender, .. } => {
                // Where the thread has died nothing more is published, and the age of snapshots says so.
                let _sent = sender.as_ref().map(|sender| sender.send(work));
            }
        }
    }

    /// Takes a task over.
    pub fn adopt(&mut self, task: TaskName, holding: Holding) {
        self.send(Work::Adopt(task, holding));
    }

    /// Entries of the task's next snapshot.
    pub fn write(&mut self, task: TaskName, entries: Entries) {
        self.waiting_bytes.fetch_add(entries.size_bytes(), Ordering::AcqRel);
        self.send(Work::Write(task, entries));
    }

    /// All entries were written; an [`Ended`] follows.
    pub fn finish(&mut self, task: TaskName, generation: u64, manifest: Manifest) {
        self.send(Work::Finish(task, generation, Box::new(manifest)));
    }

    /// Lets go of a task.
    pub fn release(&mut self, task: TaskName, generation: u64) {
        self.send(Work::Release(task, generation));
    }

    /// Whether the store must catch up first.
    pub fn is_full(&self) -> bool {
        self.waiting_bytes.load(Ordering::Acquire) >= MOST_WAITING_BYTES
    }

    /// The next snapshot that has ended, if one has.
    pub fn ended(&mut self) -> Option<Ended> {
        match &mut self.place {
            Place::Here(_, ended) => ended.pop_front(),
            Place::Thread { ended, .. } => ended.try_recv().ok(),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Place::Thread { work, thread, .. } = &mut self.place {
            drop(work.take());
            // What it was given is written before the process ends in order.
            let _ended = thread.take().map(JoinHandle::join);
        }
    }
}

fn perform(publisher: &mut Publisher, work: Work, waiting_bytes: &AtomicUsize) -> Option<Ended> {
    match work {
        Work::Adopt(task, holding) => publisher.adopt(task, holding),
        Work::Write(task, entries) => {
            let size_bytes = entries.size_bytes();
            publisher.write(&task, entries);
            waiting_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
        }
        Work::Finish(task, generation, manifest) => {
            let result = publisher.finish(&task, *manifest);
            return Some(Ended { task, generation, result });
        }
        Work::Release(task, generation) => publisher.release(&task, generation),
    }
    None
}
