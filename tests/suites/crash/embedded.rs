//! The embedded log and warehouse under SIGKILL.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use millstream_tests::binary::Installation;
use millstream_tests::crash::running::Running;
use millstream_tests::crash::seeded::Seeded;
use millstream_tests::crash::tables::{Bytes, assert_nothing_twice, assert_same, current_views};
use millstream_tests::skip::need;

use crate::{data_file, figures, import_of, my_turn, undisturbed};

const MAPPING: &str = "online_retail.toml";
const MIB: u64 = 1 << 20;
const BYTES_OF_A_BLOCK: u64 = 512;

/// Bytes that the files under a folder take on disk (the log's journal is preallocated: its length says nothing).
fn bytes_on_disk(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_on_disk(&entry.path()),
            Ok(metadata) => metadata.blocks() * BYTES_OF_A_BLOCK,
            Err(_) => 0, // deleted while we look
        })
        .sum()
}

/// Parquet files of the warehouse.
fn parquet_files(warehouse: &Path) -> u64 {
    let tables = std::fs::read_dir(warehouse).into_iter().flatten().filter_map(Result::ok);
    let files = tables.flat_map(|table| std::fs::read_dir(table.path()).into_iter().flatten().filter_map(Result::ok));
    files.filter(|file| file.path().extension().is_some_and(|end| end == "parquet")).count() as u64
}

/// Kills one installation while it writes the log, while operators run, while it recovers and while it delivers; then lets it finish.
fn killed_everywhere(test: &str, seed: u64) {
    let Some(root) = need(test, "MILLSTREAM_DATA") else { return };
    let _turn = my_turn();
    let file = data_file("online_retail", &root);
    let expected = undisturbed::views(MAPPING, &file);
    let arguments = import_of(MAPPING, &file);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let installation = Installation::embedded();
    let (log, warehouse) = (installation.folder().join("log"), installation.folder().join("warehouse"));
    let start = || Running::start(&installation, &arguments);
    let mut points = Seeded(seed);

    // While it writes the log: the first transaction is in it, the last is not.
    let bytes = points.between(16, 48) * MIB;
    let mut import = start();
    import.until("the import", |import| import.has_said("importing"));
    import.until("so many bytes of log", |_| bytes_on_disk(&log) >= bytes);
    let said = import.kill();
    assert!(!said.contains("all in the log"), "it was to be killed before:\n{said}");

    // While operators run on what the resumed import adds.
    let files = points.between(2, 16);
    let mut import = start();
    import.until("the rest of the import", |import| import.has_said("went on after event"));
    import.until("so many files of the warehouse", |_| parquet_files(&warehouse) >= files);
    let said = import.kill();
    assert!(!said.contains("profile: caught up"), "it was to be killed before:\n{said}");

    // While it recovers by replay; twice, so that the second recovers from a recovery.
    for _ in 0..2 {
        let mut import = start();
        import.until("the look at the log", |import| import.has_said("imported before"));
        let said = import.kill();
        assert!(!said.contains("profile: caught up"), "it was to be killed before:\n{said}");
    }

    // While it delivers.
    let files = points.between(1, 12);
    let mut import = start();
    import.until("the end of the operators", |import| import.has_said("profile: caught up"));
    let before = parquet_files(&warehouse);
    import.until("some more files of the warehouse", |_| parquet_files(&warehouse) >= before + files);
    let said = import.kill();
    assert!(!said.contains("rows written"), "it was to be killed before:\n{said}");

    start().finish();
    let said = start().finish();
    assert!(said.contains("warehouse: 0 rows written"), "a start with nothing to do wrote something:\n{said}");

    figures::assert_online_retail(&installation);
    assert_nothing_twice(&installation, test);
    assert_same(&expected, &current_views(&installation, Bytes::Hex), test);
}

#[test]
fn an_undisturbed_import_has_the_known_figures() {
    let Some(root) = need("crash::an_undisturbed_import_has_the_known_figures", "MILLSTREAM_DATA") else { return };
    let _turn = my_turn();
    let expected = undisturbed::views(MAPPING, &data_file("online_retail", &root));
    assert_eq!(expected["events"].len(), 23_800);
    assert_eq!(expected["order_lines"].len(), 530_144);
}

#[test]
fn an_embedded_import_killed_at_five_points_ends_the_same() {
    killed_everywhere("crash::an_embedded_import_killed_at_five_points_ends_the_same", 0x9E37_79B9);
}

#[test]
fn an_embedded_import_killed_at_five_other_points_ends_the_same() {
    killed_everywhere("crash::an_embedded_import_killed_at_five_other_points_ends_the_same", 0x2545_F491);
}
