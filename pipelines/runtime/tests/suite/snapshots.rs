//! Recovery from snapshots, and what happens where they are missing, damaged, foreign or stale.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::snapshot::manifest::Manifest;
use millstream_runtime::snapshot::recovery::{Position, recover};
use millstream_runtime::snapshot::{MemorySnapshots, RecoveryError, SnapshotStore, StoreError, TaskName};
use millstream_runtime::worker::WorkerError;
use millstream_runtime::{SnapshotSettings, Stage, StageFactory, Worker, WorkerConfig};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{TopicSpec, Transport};
use parking_lot::Mutex;

use crate::counter::{Counter, Counters, PARTITIONS, TestClock, config, feed, log, read, undisturbed};

/// A log, a store, and workers that come and go.
pub struct World {
    memory: MemoryLog,
    transport: Arc<dyn Transport>,
    pub store: MemorySnapshots,
    fed: u8,
}

impl World {
    fn new() -> Self {
        let (memory, transport) = log();
        Self { memory, transport, store: MemorySnapshots::new(), fed: 0 }
    }

    fn worker_with(&self, factory: Arc<dyn StageFactory>, store: Arc<dyn SnapshotStore>) -> Worker {
        let snapshots = SnapshotSettings { interval_ms: 1, in_background: false, ..SnapshotSettings::new(store) };
        let config = WorkerConfig { snapshots: Some(snapshots), ..config("w") };
        Worker::new(Arc::clone(&self.transport), factory, Arc::new(TestClock::default()), config).unwrap()
    }

    pub fn worker(&self) -> Worker {
        self.worker_with(Arc::new(Counters), Arc::new(self.store.clone()))
    }

    fn feed(&mut self, count: u8) {
        for _ in 0..count {
            self.fed = self.fed.wrapping_add(1);
            let value: &[u8] = if self.fed.is_multiple_of(7) { b"forget" } else { b"x" };
            feed(self.transport.as_ref(), u32::from(self.fed) % PARTITIONS, &[self.fed % 5], value);
        }
    }

    pub fn manifests(&self) -> Vec<String> {
        let mut names = self.store.list("counters/").unwrap();
        names.retain(|name| name.contains("manifest-"));
        names
    }

    pub fn assert_undisturbed(&self) {
        for partition in 0..PARTITIONS {
            let expected = undisturbed(self.transport.as_ref(), partition);
            assert!(!expected.is_empty());
            assert_eq!(read(self.transport.as_ref(), "out", partition), expected);
        }
    }
}

pub fn steps(worker: &mut Worker, count: usize) {
    for _ in 0..count {
        worker.step().unwrap();
    }
}

/// Steps with a record before each: there is always something to poll, so none waits.
pub fn busy_steps(world: &mut World, worker: &mut Worker, count: usize) {
    for _ in 0..count {
        world.feed(1);
        worker.step().unwrap();
    }
}

/// A world in which every task has several snapshots, and records behind the newest one.
pub fn lived() -> World {
    let mut world = World::new();
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 180);
    world
}

#[test]
fn a_killed_worker_goes_on_from_its_snapshot() {
    let mut world = lived();
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 30);
    steps(&mut worker, 5);
    let stats = worker.stats();
    assert_eq!(stats.restored.load(Ordering::Relaxed), u64::from(PARTITIONS));
    let replayed = stats.replayed.load(Ordering::Relaxed);
    assert!(replayed < 90, "{replayed} of 180 records were replayed");
    world.assert_undisturbed();
}

#[test]
fn a_worker_that_was_closed_replays_nothing() {
    let world = lived();
    let mut worker = world.worker();
    steps(&mut worker, 4);
    worker.close().unwrap();
    let mut worker = world.worker();
    steps(&mut worker, 4);
    assert_eq!(worker.stats().replayed.load(Ordering::Relaxed), 0);
    assert_eq!(worker.stats().restored.load(Ordering::Relaxed), u64::from(PARTITIONS));
}

#[test]
fn the_two_newest_snapshots_are_kept_and_files_that_none_needs_go() {
    let world = lived();
    // All of one day.
    assert_eq!(world.manifests().len(), 2 * PARTITIONS as usize, "{:?}", world.manifests());
    let files = world.store.list("counters/00000/data-").unwrap();
    assert!(files.len() < 30, "{files:?}");
}

#[test]
fn a_snapshot_without_its_files_is_not_one_of_the_two_that_are_kept() {
    let mut world = lived();
    let manifests = world.manifests();
    let newest = manifests.iter().filter(|name| name.starts_with("counters/00000/")).max().unwrap();
    let manifest = Manifest::decode(&world.store.get(newest).unwrap()).unwrap();
    // What only this one has: small state is written anew each time.
    world.store.delete(&manifest.small.unwrap().name).unwrap();
    let mut worker = world.worker();
    let of_task = |world: &World| -> Vec<String> {
        world.manifests().into_iter().filter(|name| name.starts_with("counters/00000/")).collect()
    };
    while of_task(&world).iter().max() == Some(newest) {
        busy_steps(&mut world, &mut worker, 1);
    }
    let kept = of_task(&world);
    assert_eq!(kept.len(), 2, "the next one, and the older one that recovery went on from: {kept:?}");
    for name in kept {
        let manifest = Manifest::decode(&world.store.get(&name).unwrap()).unwrap();
        assert!(manifest.files().all(|file| world.store.get(&file.name).is_ok()), "{name} is whole");
    }
    steps(&mut worker, 5);
    world.assert_undisturbed();
}

/// Damages or removes what `of` picks, lets a new worker go on and says how many tasks it restored from snapshots.
fn after_damage(of: impl Fn(&str) -> bool, change: impl Fn(&MemorySnapshots, &str)) -> (World, u64) {
    let mut world = lived();
    let names: Vec<String> = world.store.list("").unwrap().into_iter().filter(|name| of(name)).collect();
    assert!(!names.is_empty());
    names.iter().for_each(|name| change(&world.store, name));
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 30);
    steps(&mut worker, 5);
    let restored = worker.stats().restored.load(Ordering::Relaxed);
    drop(worker);
    (world, restored)
}

#[test]
fn a_damaged_snapshot_leads_to_the_older_one_and_then_to_the_log() {
    let flip = |store: &MemorySnapshots, name: &str| {
        store.damage(name, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    };
    let cut = |store: &MemorySnapshots, name: &str| store.damage(name, |bytes| bytes.truncate(bytes.len() / 2));
    let remove = |store: &MemorySnapshots, name: &str| store.delete(name).unwrap();
    let newest: Vec<String> = {
        let manifests = lived().manifests();
        (0..PARTITIONS)
            .map(|partition| {
                let of = format!("counters/{partition:05}/");
                manifests.iter().filter(|name| name.starts_with(&of)).max().unwrap().clone()
            })
            .collect()
    };
    for change in [&flip as &dyn Fn(&MemorySnapshots, &str), &cut, &remove] {
        let (world, restored) = after_damage(|name| newest.iter().any(|other| other == name), change);
        assert_eq!(restored, u64::from(PARTITIONS), "the older ones are good");
        world.assert_undisturbed();
        for all in ["manifest-", "data-"] {
            let (world, restored) = after_damage(|name| name.contains(all), change);
            assert_eq!(restored, 0, "none is left");
            world.assert_undisturbed();
        }
    }
}

#[test]
fn without_snapshot_and_without_the_logs_beginning_nothing_is_started() {
    let mut world = World::new();
    let mut worker = world.worker();
    // The log forgets whole segments only.
    let filler = vec![b'x'; 100_000];
    for n in 0..60 {
        feed(world.transport.as_ref(), n % PARTITIONS, b"k", &filler);
        worker.step().unwrap();
    }
    drop(worker);
    for partition in 0..PARTITIONS {
        world.memory.drop_below("in", partition, 15).unwrap();
    }
    // With snapshots nobody misses the log's beginning.
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 10);
    assert_eq!(worker.stats().restored.load(Ordering::Relaxed), u64::from(PARTITIONS));
    drop(worker);
    for name in world.store.list("").unwrap() {
        world.store.delete(&name).unwrap();
    }
    let mut worker = world.worker();
    let error = (0..20).find_map(|_| worker.step().err()).expect("it must refuse");
    assert!(error.to_string().contains("millstream replay"), "{error}");
    let WorkerError::Recovery { source: RecoveryError::Lost { earliest, committed, .. }, .. } = error else {
        panic!("{error}")
    };
    assert!(0 < earliest && earliest < committed, "{earliest} {committed}");
}

/// Counters of another logic.
struct Changed;

impl StageFactory for Changed {
    fn name(&self) -> &'static str {
        Counters.name()
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        Counters.inputs()
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        Counters.outputs()
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        Box::new(Counter::of(partition))
    }

    fn logic_version(&self) -> u32 {
        2
    }
}

#[test]
fn nothing_is_replayed_across_a_changed_logic_until_the_old_one_has_drained() {
    let mut world = lived();
    // Killed with an epoch behind its snapshot: what lies between must be replayed by who processed it.
    {
        let slow = SnapshotSettings {
            interval_ms: u64::MAX,
            in_background: false,
            ..SnapshotSettings::new(Arc::new(world.store.clone()))
        };
        let config = WorkerConfig { snapshots: Some(slow), ..config("w") };
        let factory: Arc<dyn StageFactory> = Arc::new(Counters);
        let mut worker = Worker::new(world.transport.clone(), factory, Arc::new(TestClock::default()), config).unwrap();
        busy_steps(&mut world, &mut worker, 30);
    }
    let store: Arc<dyn SnapshotStore> = Arc::new(world.store.clone());
    let mut worker = world.worker_with(Arc::new(Changed), store.clone());
    let error = (0..20).find_map(|_| worker.step().err()).expect("it must refuse");
    assert!(error.to_string().contains("millstream drain"), "{error}");
    drop(worker);
    // Closing in order is what draining is.
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 30);
    worker.close().unwrap();
    let mut worker = world.worker_with(Arc::new(Changed), store);
    busy_steps(&mut world, &mut worker, 30);
    steps(&mut worker, 5);
    assert_eq!(worker.stats().replayed.load(Ordering::Relaxed), 0);
    world.assert_undisturbed();
    // Nor back: what the new one processed since its last snapshot is the new one's.
    let newest: Vec<String> = world.manifests().into_iter().rev().collect();
    for (at, name) in newest.iter().enumerate() {
        let is_newest = at == 0 || newest[at - 1][..15] != name[..15];
        let of_new = String::from_utf8(world.store.get(name).unwrap()).unwrap().contains("\"logic_version\": 2");
        if is_newest || of_new {
            world.store.delete(name).unwrap();
        }
    }
    drop(worker);
    let mut worker = world.worker();
    let error = (0..20).find_map(|_| worker.step().err()).expect("it must refuse");
    assert!(error.to_string().contains("logic version 2, this program has 1"), "{error}");
}

#[test]
fn nor_from_the_logs_beginning() {
    let world = lived();
    for name in world.store.list("").unwrap() {
        world.store.delete(&name).unwrap();
    }
    let store: Arc<dyn SnapshotStore> = Arc::new(world.store.clone());
    let mut worker = world.worker_with(Arc::new(Changed), store);
    let error = (0..20).find_map(|_| worker.step().err()).expect("it must refuse");
    assert!(error.to_string().contains("logic version 1, this program has 2"), "{error}");
}

/// A store that fails as often as it is told to.
struct Failing {
    store: MemorySnapshots,
    /// Puts that fail: half of them after they have stored what they were given.
    failures: Mutex<u32>,
}

impl SnapshotStore for Failing {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut failures = self.failures.lock();
        if *failures > 0 && !name.contains("owner-") {
            *failures -= 1;
            if failures.is_multiple_of(2) {
                self.store.put_new(name, bytes)?;
            }
            return Err(StoreError::Unavailable("as planned".to_owned()));
        }
        self.store.put_new(name, bytes)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.store.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.store.get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.store.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.store.delete(name)
    }
}

#[test]
fn what_a_failed_snapshot_was_to_hold_is_in_the_next_one() {
    let mut world = World::new();
    let failing = Arc::new(Failing { store: world.store.clone(), failures: Mutex::new(14) });
    let mut worker = world.worker_with(Arc::new(Counters), failing);
    busy_steps(&mut world, &mut worker, 600);
    let stats = worker.stats();
    let (failed, good) = (stats.snapshots_failed.load(Ordering::Relaxed), stats.snapshots.load(Ordering::Relaxed));
    assert!(failed >= 10 && good > 0, "{failed} failed, {good} did not");
    drop(worker);
    let mut worker = world.worker();
    busy_steps(&mut world, &mut worker, 30);
    steps(&mut worker, 5);
    assert_eq!(worker.stats().restored.load(Ordering::Relaxed), u64::from(PARTITIONS));
    world.assert_undisturbed();
}

/// A store in which another process takes the task over, publishes and tidies up, just when a manifest is read.
struct Overtaken(MemorySnapshots);

impl SnapshotStore for Overtaken {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.put_new(name, bytes)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        if let Some((task, _)) = name.split_once("/manifest-") {
            self.0.put_new(&format!("{task}/owner-{:08}", 999), b"another").unwrap();
            self.0.delete(name)?;
        }
        self.0.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.0.get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.0.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.0.delete(name)
    }
}

#[test]
fn snapshots_that_a_newer_owner_replaces_while_they_are_read_are_not_lost() {
    let store = MemorySnapshots::new();
    let task = TaskName { group: "counters".into(), partition: 0 };
    store.put_new(&task.manifest(1), b"whatever").unwrap();
    let factory: Arc<dyn StageFactory> = Arc::new(Counters);
    let position = Position { topic_id: "in".into(), partition: 0, committed: 9, logic_version: None, earliest: 5 };
    let refused = |store: &dyn SnapshotStore| recover(store, &task, "w", &factory, &position).map(|_| ()).unwrap_err();
    let overtaken = refused(&Overtaken(store.clone()));
    assert!(matches!(overtaken, RecoveryError::Store(StoreError::Unavailable(_))), "{overtaken}");
    // Nobody else is there now: what cannot be read is lost.
    let lost = refused(&store);
    assert!(matches!(lost, RecoveryError::Lost { earliest: 5, committed: 9, .. }), "{lost}");
}
