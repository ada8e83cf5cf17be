//! Snapshots as older programs wrote them stay readable, and the next ones build on them.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use millstream_runtime::snapshot::manifest::{FORMAT, Manifest};
use millstream_runtime::snapshot::{MemorySnapshots, SnapshotFolder, SnapshotStore};

use crate::counter::PARTITIONS;
use crate::snapshots::{World, busy_steps, lived, steps};

fn folder_of(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("snapshots-format-{format}"))
}

fn copy(from: &dyn SnapshotStore, to: &dyn SnapshotStore) {
    for name in from.list("").unwrap() {
        to.put_new(&name, &from.get(&name).unwrap()).unwrap();
    }
}

fn formats(store: &dyn SnapshotStore) -> Vec<u32> {
    let names = store.list("").unwrap().into_iter().filter(|name| name.contains("manifest-"));
    let mut formats: Vec<u32> =
        names.map(|name| Manifest::decode(&store.get(&name).unwrap()).unwrap().format).collect();
    formats.dedup();
    formats
}

/// The world of [`lived`], whose snapshots a program of `format` wrote.
fn lived_with(format: u32) -> World {
    let store = MemorySnapshots::new();
    copy(&SnapshotFolder::new(folder_of(format)), &store);
    assert_eq!(formats(&store), [format], "the fixture is of that format");
    let mut world = lived();
    world.store = store;
    world
}

#[test]
fn an_upgrade_goes_on_from_the_snapshots_of_every_earlier_format() {
    for format in 1..=FORMAT {
        let mut world = lived_with(format);
        for upgraded in [true, false, false] {
            let mut worker = world.worker();
            // Long enough for several snapshots on top, and merges with what was there.
            busy_steps(&mut world, &mut worker, 90);
            steps(&mut worker, 5);
            let stats = worker.stats();
            assert_eq!(stats.restored.load(Ordering::Relaxed), u64::from(PARTITIONS), "format {format}");
            assert!(!upgraded || stats.replayed.load(Ordering::Relaxed) < 90, "format {format}");
            world.assert_undisturbed();
        }
        assert_eq!(formats(&world.store), [FORMAT], "in the end all is of this program's format");
    }
}

#[test]
#[ignore = "writes the fixture of this program's format"]
fn write_the_fixture() {
    let folder = folder_of(FORMAT);
    let _absent = std::fs::remove_dir_all(&folder);
    copy(&lived().store, &SnapshotFolder::new(folder));
}
