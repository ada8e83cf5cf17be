//! Every operation, and what the store does with several writers at once.

use std::sync::Barrier;

use millstream_runtime::snapshot::{SnapshotStore, StoreError};

use crate::support::store;

#[test]
fn objects_are_written_once_read_listed_and_removed() {
    let Some(store) = store("objects_are_written_once_read_listed_and_removed") else { return };
    let missing = || StoreError::Missing("stage/00001/a-1".to_owned());
    assert_eq!(store.list("stage/").unwrap(), Vec::<String>::new());
    assert_eq!(store.get("stage/00001/a-1"), Err(missing()));
    assert_eq!(store.get_range("stage/00001/a-1", 0, 1), Err(missing()));
    store.delete("stage/00001/a-1").unwrap();
    store.put_new("stage/00001/a-1", b"one").unwrap();
    store.put_new("stage/00001/a-2", b"two").unwrap();
    store.put_new("stage/00001/empty", b"").unwrap();
    assert_eq!(store.put_new("stage/00001/a-1", b"other"), Err(StoreError::Exists("stage/00001/a-1".to_owned())));
    assert_eq!(store.put_new("stage/00001/a-1", b"one"), Err(StoreError::Exists("stage/00001/a-1".to_owned())));
    assert_eq!(store.get("stage/00001/a-1").unwrap(), b"one");
    assert_eq!(store.get("stage/00001/empty").unwrap(), b"");
    assert_eq!(store.list("stage/00001/a-").unwrap(), ["stage/00001/a-1", "stage/00001/a-2"]);
    assert_eq!(store.list("").unwrap().len(), 3);
    store.delete("stage/00001/a-1").unwrap();
    store.delete("stage/00001/a-1").unwrap();
    assert_eq!(store.get("stage/00001/a-1"), Err(missing()));
    assert_eq!(store.list("stage/00001/a-").unwrap(), ["stage/00001/a-2"]);
    // The name is free again.
    store.put_new("stage/00001/a-1", b"anew").unwrap();
    assert_eq!(store.get("stage/00001/a-1").unwrap(), b"anew");
}

#[test]
fn ranges_end_where_the_object_ends() {
    let Some(store) = store("ranges_end_where_the_object_ends") else { return };
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    store.put_new("big", &bytes).unwrap();
    store.put_new("empty", b"").unwrap();
    assert_eq!(store.get("big").unwrap(), bytes);
    for (offset, length) in [(0, 1), (0, 3_000_000), (1_000_000, 1 << 20), (2_999_999, 1), (2_999_990, 100), (5, 0)] {
        let end = bytes.len().min(offset + length);
        assert_eq!(store.get_range("big", offset as u64, length).unwrap(), bytes[offset..end], "{offset} {length}");
    }
    for offset in [3_000_000, 3_000_001, u64::MAX - 5] {
        assert_eq!(store.get_range("big", offset, 10).unwrap(), b"", "{offset}");
    }
    assert_eq!(store.get_range("empty", 0, 10).unwrap(), b"");
}

#[test]
fn a_listing_has_all_pages() {
    let Some(store) = store("a_listing_has_all_pages") else { return };
    // A page has 1,000 names.
    let names: Vec<String> = (0..1_203).map(|n| format!("stage/00001/data-{n:05}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(names.len() / 8 + 1) {
            let store = &store;
            scope.spawn(move || part.iter().for_each(|name| store.put_new(name, b"x").unwrap()));
        }
    });
    store.put_new("stage/00001/manifest-1", b"x").unwrap();
    store.put_new("stage/00010/data-00001", b"x").unwrap();
    assert_eq!(store.list("stage/00001/data-").unwrap(), names);
    assert_eq!(store.list("stage/00001/").unwrap().len(), names.len() + 1);
    assert_eq!(store.list("stage/").unwrap().len(), names.len() + 2);
}

#[test]
fn of_six_writers_exactly_one_wins() {
    let Some(store) = store("of_six_writers_exactly_one_wins") else { return };
    for race in 0..20 {
        let name = format!("race/{race}");
        let start = Barrier::new(6);
        let outcomes: Vec<(u8, Result<(), StoreError>)> = std::thread::scope(|scope| {
            let write = |n: u8| {
                start.wait();
                (n, store.put_new(&name, &[n; 4_096]))
            };
            let threads: Vec<_> = (0..6).map(|n| scope.spawn(move || write(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winners: Vec<u8> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| *n).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert_eq!(store.get(&name).unwrap(), [winners[0]; 4_096], "what the winner wrote is there");
        for (n, outcome) in outcomes.into_iter().filter(|(n, _)| *n != winners[0]) {
            assert_eq!(outcome, Err(StoreError::Exists(name.clone())), "writer {n}");
        }
    }
}

#[test]
fn a_store_that_fences_passes_the_check_and_leaves_nothing() {
    let Some(store) = store("a_store_that_fences_passes_the_check_and_leaves_nothing") else { return };
    store.check("one").unwrap();
    store.check("one").unwrap();
    assert_eq!(store.list("").unwrap(), Vec::<String>::new());
}

#[test]
fn a_thread_of_another_runtime_may_use_and_drop_it() {
    let Some(store) = store("a_thread_of_another_runtime_may_use_and_drop_it") else { return };
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    other.block_on(async move {
        store.put_new("a", b"1").unwrap();
        assert_eq!(store.get("a").unwrap(), b"1");
        drop(store);
    });
}
