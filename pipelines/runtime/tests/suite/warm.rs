//! Records are announced to their stage before they are processed; what a stage does with it cannot hurt.

use std::sync::Arc;
use std::sync::Mutex;

use millstream_runtime::{Diversion, Outputs, Stage, StageFactory, WARM_RECORDS, Worker};
use millstream_transports::{RecordRef, TopicSpec};

use crate::counter::{Counter, Counters, TestClock, config, feed, log, read, undisturbed};

/// Notes what it is told, in its partition: announced or processed, and the offset.
type Notes = Arc<Mutex<Vec<(bool, u32, u64)>>>;

struct Noting {
    counter: Counter,
    notes: Notes,
    panics: bool,
}

impl Stage for Noting {
    fn warm(&self, records: &[RecordRef<'_>]) {
        assert!((1..=WARM_RECORDS).contains(&records.len()));
        let noted = records.iter().map(|record| (true, record.partition, record.offset));
        self.notes.lock().unwrap().extend(noted);
        assert!(!self.panics, "a defect");
    }

    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        self.notes.lock().unwrap().push((false, record.partition, record.offset));
        self.counter.on_record(record, out);
    }

    fn divert(&mut self, record: RecordRef<'_>, why: &Diversion, out: &mut Outputs) {
        self.counter.divert(record, why, out);
    }

    fn commit_epoch(&mut self) {
        self.counter.commit_epoch();
    }

    fn undo_epoch(&mut self) {
        self.counter.undo_epoch();
    }

    fn state_keys(&self) -> usize {
        self.counter.state_keys()
    }
}

struct NotingFactory {
    notes: Notes,
    panics: bool,
}

impl StageFactory for NotingFactory {
    fn name(&self) -> &'static str {
        "noting"
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        Counters.inputs()
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        Counters.outputs()
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        Box::new(Noting { counter: Counter::of(partition), notes: Arc::clone(&self.notes), panics: self.panics })
    }
}

#[test]
fn records_are_announced_before_they_are_processed() {
    for panics in [false, true] {
        let (_memory, transport) = log();
        for n in 0..100u8 {
            feed(transport.as_ref(), u32::from(n / 7 % 2), &[n % 5], &[n]);
        }
        let notes = Notes::default();
        let factory = Arc::new(NotingFactory { notes: Arc::clone(&notes), panics });
        let mut worker =
            Worker::new(Arc::clone(&transport), factory, Arc::new(TestClock::default()), config("w")).unwrap();
        for _ in 0..20 {
            worker.step().unwrap();
        }
        for partition in 0..2 {
            let notes = notes.lock().unwrap();
            let offsets = |announced: bool| -> Vec<u64> {
                notes.iter().filter(|note| (note.0, note.1) == (announced, partition)).map(|note| note.2).collect()
            };
            assert_eq!(offsets(true), offsets(false));
            let at = |note| notes.iter().position(|noted| *noted == note).unwrap();
            assert!(
                offsets(true).into_iter().all(|offset| at((true, partition, offset)) < at((false, partition, offset)))
            );
            assert!(!offsets(true).is_empty());
            assert_eq!(read(transport.as_ref(), "out", partition), undisturbed(transport.as_ref(), partition));
        }
    }
}
