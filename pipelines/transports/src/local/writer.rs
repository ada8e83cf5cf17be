//! Group commit: everything that waits becomes durable in one write, in the order it came; only then is it readable and
//! acknowledged.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::core::Core;
use super::frame::{CHUNK_BYTES, Chunk};
use super::partition::{Partition, Placement};
use super::store::{AtomicWrite, OffsetWrite, PlacedChunk, Purpose, Store};
use crate::{Acknowledge, Result, TransportError};

/// One write takes at most about this much from the queue.
const WRITE_BYTES: usize = 8 << 20;

/// When and by whom the queue is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteMode {
    /// By the caller, at once.
    Inline,
    /// Appends wait until somebody asks for a sync; commits sync by themselves.
    OnRequest,
    /// By a thread of the log's own.
    Thread,
}

/// Some records for one partition.
pub(crate) struct Part {
    pub partition: Arc<Partition>,
    pub chunk: Chunk,
    /// Offsets lost behind it.
    pub gap: u32,
}

/// Who waits for a unit.
pub(crate) enum Waiter {
    Callback(Acknowledge),
    Caller(Caller),
}

/// A thread that waits. It hears of a failure also when the writer dies with its unit in hand.
pub(crate) struct Caller(Arc<Signal>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.set(Err(TransportError::Unavailable(
            "the log's writer died; whether the write took place is not known".into(),
        )));
    }
}

/// What succeeds or fails as one.
pub(crate) struct Unit {
    pub parts: Vec<Part>,
    pub offsets: Vec<OffsetWrite>,
    /// The transaction that ends with this unit, and the partitions that it holds back.
    pub transaction: Option<(u64, Vec<Arc<Partition>>)>,
    pub waiter: Waiter,
    /// Bytes that count against the queue's limit.
    pub queued_bytes: usize,
}

/// Hands a result from the writing thread to the waiting one.
#[derive(Default)]
struct Signal {
    outcome: Mutex<Option<Result<()>>>,
    ready: Condvar,
}

impl Signal {
    /// The first outcome counts.
    fn set(&self, outcome: Result<()>) {
        self.outcome.lock().get_or_insert(outcome);
        self.ready.notify_all();
    }

    fn take(&self) -> Result<()> {
        let mut outcome = self.outcome.lock();
        loop {
            match outcome.take() {
                Some(outcome) => return outcome,
                None => self.ready.wait(&mut outcome),
            }
        }
    }
}

#[derive(Default)]
struct Waiting {
    units: VecDeque<Unit>,
    bytes: usize,
    stop: bool,
}

/// Units that wait to be written.
pub(crate) struct Queue {
    pub mode: WriteMode,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    /// Held while a write is on its way: there is one writer at a time.
    writing: Mutex<()>,
}

impl Queue {
    pub(crate) fn new(mode: WriteMode) -> Self {
        Self { mode, waiting: Mutex::default(), filled: Condvar::new(), writing: Mutex::new(()) }
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Lets the writing thread end when all is written.
    pub(crate) fn stop(&self) {
        self.waiting.lock().stop = true;
        self.filled.notify_all();
    }

    /// Lets no write begin while `work` runs, and waits for the one that is on its way.
    pub(crate) fn without_writer<T>(&self, work: impl FnOnce() -> T) -> T {
        let _writing = self.writing.lock();
        work()
    }

    /// Takes from the front about as much as one write should hold.
    fn take(waiting: &mut Waiting) -> Vec<Unit> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < WRITE_BYTES
            && let Some(unit) = waiting.units.pop_front()
        {
            bytes += unit.parts.iter().map(|part| part.chunk.bytes.len()).sum::<usize>();
            taken.push(unit);
        }
        taken
    }
}

impl<S: Store> Core<S> {
    /// Queues an acknowledged append, or refuses it where too much waits.
    pub(crate) fn submit(&self, unit: Unit) -> Result<()> {
        self.check_alive()?;
        self.store.check_room(unit.queued_bytes, Purpose::Input)?;
        {
            let mut waiting = self.queue.waiting.lock();
            let queued_bytes = waiting.bytes + unit.queued_bytes;
            // A unit larger than the whole queue passes when it is alone, or it could never be sent.
            if queued_bytes > self.options.max_queued_bytes && waiting.bytes > 0 {
                return Err(TransportError::QueueFull { queued_bytes: waiting.bytes });
            }
            waiting.bytes = queued_bytes;
            waiting.units.push_back(unit);
        }
        match self.queue.mode {
            WriteMode::Inline => self.drain(),
            WriteMode::OnRequest => {}
            WriteMode::Thread => {
                self.queue.filled.notify_one();
            }
        }
        Ok(())
    }

    /// Makes a unit durable before it returns.
    pub(crate) fn write_and_wait(&self, make: impl FnOnce(Waiter) -> Unit) -> Result<()> {
        self.check_alive()?;
        let signal = Arc::new(Signal::default());
        let unit = make(Waiter::Caller(Caller(Arc::clone(&signal))));
        self.queue.waiting.lock().units.push_back(unit);
        match self.queue.mode {
            WriteMode::Inline | WriteMode::OnRequest => self.drain(),
            WriteMode::Thread => {
                self.queue.filled.notify_one();
            }
        }
        signal.take()
    }

    /// Writes until nothing waits. Callbacks run without a lock held.
    pub(crate) fn drain(&self) {
        loop {
            let done = {
                let _writing = self.queue.writing.lock();
                let units = Queue::take(&mut self.queue.waiting.lock());
                if units.is_empty() {
                    return;
                }
                self.write_units(units)
            };
            self.tell(done);
        }
    }

    /// The writing thread: waits for units and writes them, until stopped and empty.
    pub(crate) fn write_until_stopped(&self) {
        loop {
            {
                let mut waiting = self.queue.waiting.lock();
                while waiting.units.is_empty() {
                    if waiting.stop {
                        return;
                    }
                    self.queue.filled.wait(&mut waiting);
                }
            }
            // After a panic the log ends; what waits is then refused by the next turn.
            if catch_unwind(AssertUnwindSafe(|| self.drain())).is_err() {
                self.end("the log's writer panicked; the outcome of its last write is not known");
            }
        }
    }

    fn tell(&self, done: Vec<(Waiter, usize, Result<()>)>) {
        let bytes: usize = done.iter().map(|(_, bytes, _)| bytes).sum();
        if bytes > 0 {
            self.queue.waiting.lock().bytes -= bytes;
        }
        for (waiter, _, outcome) in done {
            match waiter {
                Waiter::Callback(acknowledge) => {
                    // A caller's mistake must not stop everybody's writes.
                    if catch_unwind(AssertUnwindSafe(|| acknowledge(outcome))).is_err() {
                        tracing::error!("an acknowledgement's callback panicked");
                    }
                }
                Waiter::Caller(caller) => caller.0.set(outcome),
            }
        }
    }

    /// Places, writes and publishes the units as one atomic write.
    fn write_units(&self, units: Vec<Unit>) -> Vec<(Waiter, usize, Result<()>)> {
        let mut write = AtomicWrite::default();
        let mut partitions: Vec<Arc<Partition>> = Vec::new();
        let mut newest: HashMap<(u32, u32), usize> = HashMap::new();
        let mut ended: Vec<(u64, Vec<Arc<Partition>>)> = Vec::new();
        let mut waiters = Vec::with_capacity(units.len());
        if let Err(error) = self.check_alive() {
            let failed = |unit: Unit| (unit.waiter, unit.queued_bytes, Err(again(&error)));
            return units.into_iter().map(failed).collect();
        }
        for unit in units {
            for part in unit.parts {
                let key = (part.partition.topic_id, part.partition.index);
                let before = newest.get(&key).and_then(|&index| write.chunks.get_mut(index));
                let before =
                    before.filter(|b| b.gap == 0 && b.chunk.bytes.len() + part.chunk.bytes.len() <= CHUNK_BYTES);
                let behind = before.as_ref().map(|before| before.base + u64::from(before.chunk.count));
                match (part.partition.place(part.chunk.count, part.gap, behind), before) {
                    (Placement::Extends, Some(before)) => {
                        before.chunk.extend(&part.chunk);
                        before.gap = part.gap;
                    }
                    (Placement::New { base, previous_base }, _) => {
                        newest.insert(key, write.chunks.len());
                        let (topic_id, partition) = key;
                        let (gap, chunk) = (part.gap, part.chunk);
                        write.chunks.push(PlacedChunk { topic_id, partition, base, gap, previous_base, chunk });
                        partitions.push(part.partition);
                    }
                    // `place` extends only what it was given.
                    (Placement::Extends, None) => {}
                }
            }
            write.offsets.extend(unit.offsets);
            ended.extend(unit.transaction);
            waiters.push((unit.waiter, unit.queued_bytes));
        }
        let empty = write.chunks.is_empty() && write.offsets.is_empty();
        if !empty && let Err(error) = self.store.write(&write) {
            self.end(&format!("a write failed and its outcome is not known: {error}"));
            return waiters.into_iter().map(|(waiter, bytes)| (waiter, bytes, Err(again(&error)))).collect();
        }
        self.publish(write, &partitions, &ended);
        waiters.into_iter().map(|(waiter, bytes)| (waiter, bytes, Ok(()))).collect()
    }

    fn publish(&self, write: AtomicWrite, partitions: &[Arc<Partition>], ended: &[(u64, Vec<Arc<Partition>>)]) {
        for (placed, partition) in write.chunks.into_iter().zip(partitions) {
            partition.publish(placed.base, placed.gap, placed.chunk);
        }
        if !write.offsets.is_empty() {
            let mut coordinator = self.coordinator.lock();
            for offset in write.offsets {
                coordinator.group(&offset.group).offsets.insert((offset.topic_id, offset.partition), offset.committed);
            }
        }
        // Offsets before outputs: whoever reads an output finds its input committed.
        for (transaction, held_back) in ended {
            for partition in held_back {
                partition.close(*transaction);
            }
        }
        self.wake.notify();
    }
}

/// The same failure for another waiter.
fn again(error: &TransportError) -> TransportError {
    TransportError::Unavailable(error.to_string())
}
