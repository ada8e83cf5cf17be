//! Owners, publisher and recovery over the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_object_store::{ObjectSettings, ObjectSnapshots};
use millstream_runtime::snapshot::publisher::{Holding, PublishError, Publisher};
use millstream_runtime::snapshot::testing::{manifest, newest, stored, task};
use millstream_runtime::snapshot::{Entries, SnapshotStore, StoreError, owner};

use crate::support;

/// The entries of section 1, which are all.
fn read(store: &dyn SnapshotStore) -> BTreeMap<u128, Vec<u8>> {
    stored(store).unwrap().into_iter().map(|((_, key), value)| (key, value)).collect()
}

fn publisher(store: &Arc<dyn SnapshotStore>, holding: Holding) -> Publisher {
    let generation = owner::claim(store.as_ref(), &task(), "me").unwrap();
    let mut publisher = Publisher::new(Arc::clone(store), 30);
    publisher.adopt(task(), Holding { generation, ..holding });
    publisher
}

/// Changes 300 keys, of which the next time 200 others change: files big enough to be files of their own, merged as they grow old.
fn publish(publisher: &mut Publisher, offset: u64, expected: &mut BTreeMap<u128, Vec<u8>>) {
    let mut entries = Entries::new();
    for key in 0..300 {
        let (key, value) = (u128::from(offset * 100 + key), vec![offset as u8; 700]);
        entries.push(1, key, |bytes| bytes.extend_from_slice(&value));
        expected.insert(key, value);
    }
    publisher.write(&task(), entries);
    publisher.finish(&task(), manifest(offset)).unwrap();
}

#[test]
fn what_was_published_is_restored() {
    let Some(store) = support::store("what_was_published_is_restored") else { return };
    let store: Arc<dyn SnapshotStore> = Arc::new(store);
    let (mut holding, mut expected) = (Holding::default(), BTreeMap::new());
    for owner in 0..3 {
        let mut publisher = publisher(&store, holding);
        for n in 0..6 {
            publish(&mut publisher, owner * 6 + n, &mut expected);
        }
        assert_eq!(read(store.as_ref()), expected);
        let last = newest(store.as_ref());
        holding = Holding { generation: last.generation, number: last.number, runs: last.runs, floors: last.floors };
    }
}

#[test]
fn of_two_owners_the_later_one_publishes() {
    let Some(store) = support::store("of_two_owners_the_later_one_publishes") else { return };
    let store: Arc<dyn SnapshotStore> = Arc::new(store);
    let mut first = publisher(&store, Holding::default());
    first.finish(&task(), manifest(1)).unwrap();
    let mut second = publisher(&store, Holding::default());
    let refused = first.finish(&task(), manifest(2)).unwrap_err();
    assert!(matches!(refused, PublishError::Fenced { ours: 1, newest: 2, .. }), "{refused}");
    second.finish(&task(), manifest(3)).unwrap();
    let last = newest(store.as_ref());
    assert_eq!((last.offset, last.generation, last.number), (3, 2, 2));
}

#[test]
fn claims_made_at_once_have_different_generations() {
    let Some(store) = support::store("claims_made_at_once_have_different_generations") else { return };
    let mut generations: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| owner::claim(&store, &task(), "me").unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(generations.len(), 6);
    assert_eq!(owner::newest(&store, &task()).unwrap(), generations[5]);
}

/// Stores what it is given and loses the answer, every second time.
struct Forgetful {
    store: ObjectSnapshots,
    puts: std::sync::atomic::AtomicU32,
}

impl SnapshotStore for Forgetful {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_new(name, bytes)?;
        match self.puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
            0 => Ok(()),
            // As a client that tries again by itself after a "server error" would find it.
            _ => self.store.put_new(name, bytes),
        }
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
fn an_answer_that_was_lost_fences_nobody() {
    let Some(settings) = support::settings("an_answer_that_was_lost_fences_nobody") else { return };
    let of = |settings: &ObjectSettings| ObjectSnapshots::new(settings).unwrap();
    let store: Arc<dyn SnapshotStore> = Arc::new(Forgetful { store: of(&settings), puts: 0.into() });
    let (mut publisher, mut expected) = (publisher(&store, Holding::default()), BTreeMap::new());
    for offset in 0..8 {
        publish(&mut publisher, offset, &mut expected);
    }
    assert_eq!(read(&of(&settings)), expected);
    assert_eq!(newest(&of(&settings)).number, 8, "no number was taken twice");
}
