//! Files, merges, owners and manifests by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_runtime::snapshot::manifest::{FORMAT, Manifest};
use millstream_runtime::snapshot::publisher::{Holding, PublishError, Publisher};
use millstream_runtime::snapshot::testing::{Merged, manifest, newest, stored, task};
use millstream_runtime::snapshot::{Entries, MemorySnapshots, SnapshotFolder, SnapshotStore, StoreError, owner};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;

fn read(store: &dyn SnapshotStore) -> Merged {
    stored(store).unwrap()
}

/// Section, key and value of one entry; `None` for one that is gone.
type Change = (u8, u128, Option<Vec<u8>>);

/// What one snapshot holds: some files of entries, and how old an entry of section 2 may be.
fn snapshots() -> impl Strategy<Value = Vec<(Vec<Vec<Change>>, u32)>> {
    let value = prop::option::weighted(
        0.8,
        prop::collection::vec(any::<u8>(), 4..12).prop_map(|mut value| {
            value[..3].fill(0);
            value
        }),
    );
    let file = prop::collection::vec((1..3u8, 0..40u128, value), 0..30);
    prop::collection::vec((prop::collection::vec(file, 1..4), 0..8u32), 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn snapshots_on_top_of_each_other_hold_what_a_map_holds(snapshots in snapshots(), owners in 1..4usize) {
        let store = MemorySnapshots::new();
        let mut holding = Holding::default();
        let mut publisher = Publisher::new(Arc::new(store.clone()), 0);
        let mut expected = Merged::new();
        let mut floor = 0;
        for (number, (files, least)) in snapshots.iter().enumerate() {
            if number % owners == 0 {
                holding.generation = owner::claim(&store, &task(), "me").unwrap();
                publisher.adopt(task(), holding.clone());
            }
            let mut written = BTreeMap::new();
            for file in files {
                let mut entries = Entries::new();
                for (section, key, value) in file {
                    // The number that expires never falls: an id seen again is in a later bucket.
                    let value = value.clone().map(|mut value| {
                        value[3] = number as u8;
                        value
                    });
                    written.entry((*section, *key)).or_insert_with(|| value.clone());
                    match value {
                        Some(value) => entries.push(*section, *key, |bytes| bytes.extend_from_slice(&value)),
                        None => entries.push_gone(*section, *key),
                    }
                }
                floor = floor.max((*least).min(number as u32));
                entries.expire_below(2, floor);
                entries.push(0, 0, |bytes| bytes.push(number as u8));
                publisher.write(&task(), entries);
            }
            publisher.finish(&task(), manifest(number as u64)).unwrap();
            for (place, value) in written {
                match value {
                    Some(value) => expected.insert(place, value),
                    None => expected.remove(&place),
                };
            }
            expected.insert((0, 0), vec![number as u8]);
            let live = |place: &(u8, u128), value: &Vec<u8>| place.0 != 2 || u32::from(value[3]) >= floor;
            expected.retain(|place, value| live(place, value));
            prop_assert_eq!(read(&store), expected.clone());
            let manifest = newest(&store);
            holding = Holding {
                generation: manifest.generation, number: manifest.number, runs: manifest.runs, floors: manifest.floors,
            };
        }
        prop_assert!(holding.runs.len() <= 40, "{} runs", holding.runs.len());
    }
}

#[test]
fn who_was_succeeded_publishes_no_more() {
    let store = MemorySnapshots::new();
    let start = || {
        let generation = owner::claim(&store, &task(), "me").unwrap();
        let mut publisher = Publisher::new(Arc::new(store.clone()), 30);
        publisher.adopt(task(), Holding { generation, ..Holding::default() });
        publisher
    };
    let mut first = start();
    first.finish(&task(), manifest(1)).unwrap();
    let mut second = start();
    let refused = first.finish(&task(), manifest(2)).unwrap_err();
    assert!(matches!(refused, PublishError::Fenced { ours: 1, newest: 2, .. }), "{refused}");
    // The second one did not see the first one's last snapshot: it takes the next number.
    second.finish(&task(), manifest(3)).unwrap();
    assert_eq!((newest(&store).offset, newest(&store).generation, newest(&store).number), (3, 2, 2));
}

#[test]
fn the_last_snapshot_of_each_day_is_kept_for_as_long_as_is_said() {
    let store = MemorySnapshots::new();
    let mut publisher = Publisher::new(Arc::new(store.clone()), 3);
    let generation = owner::claim(&store, &task(), "me").unwrap();
    publisher.adopt(task(), Holding { generation, ..Holding::default() });
    for offset in 0..40 {
        let mut entries = Entries::new();
        entries.push(1, u128::from(offset), |bytes| bytes.push(1));
        publisher.write(&task(), entries);
        // Four a day.
        let written_at_ms = i64::try_from(offset / 4).unwrap() * DAY_MS;
        publisher.finish(&task(), Manifest { written_at_ms, ..manifest(offset) }).unwrap();
    }
    let kept: Vec<u64> = (store.list(&task().manifests()).unwrap().iter())
        .map(|name| Manifest::decode(&store.get(name).unwrap()).unwrap().offset)
        .collect();
    assert_eq!(kept, [27, 31, 35, 38, 39]);
    let needed: usize = 40;
    assert_eq!(read(&store).len(), needed);
    let files = store.list(&task().data()).unwrap().len();
    assert!(files < 40, "{files} files are left");
}

#[test]
fn a_manifest_is_read_as_it_was_written_or_not_at_all() {
    let manifest = Manifest {
        about: BTreeMap::from([("watermark".to_owned(), "7".to_owned())]),
        written_at_ms: DAY_MS,
        ..manifest(9)
    };
    let bytes = manifest.encode();
    assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(Manifest::decode(&changed).is_err(), "byte {at}");
        assert!(Manifest::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
    let newer = Manifest { format: FORMAT + 1, ..manifest }.encode();
    assert!(Manifest::decode(&newer).unwrap_err().to_string().contains("format"));
}

#[test]
fn a_folder_keeps_objects_and_lets_one_writer_win() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotFolder::new(folder.path().join("snapshots"));
    assert_eq!(store.list("stage/").unwrap(), Vec::<String>::new());
    store.put_new("stage/00001/a-1", b"one").unwrap();
    store.put_new("stage/00001/a-2", b"two").unwrap();
    assert_eq!(store.put_new("stage/00001/a-1", b"other"), Err(StoreError::Exists("stage/00001/a-1".to_owned())));
    assert_eq!(store.get("stage/00001/a-1").unwrap(), b"one");
    assert_eq!(store.get_range("stage/00001/a-1", 1, 10).unwrap(), b"ne");
    assert_eq!(store.list("stage/00001/a-").unwrap(), ["stage/00001/a-1", "stage/00001/a-2"]);
    store.delete("stage/00001/a-1").unwrap();
    store.delete("stage/00001/a-1").unwrap();
    assert_eq!(store.get("stage/00001/a-1"), Err(StoreError::Missing("stage/00001/a-1".to_owned())));
    let winners = std::thread::scope(|scope| {
        let write = |n: u8| store.put_new("stage/00001/race", &[n]).is_ok();
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || write(n))).collect();
        threads.into_iter().filter(|_| true).map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(winners, 1);
}
