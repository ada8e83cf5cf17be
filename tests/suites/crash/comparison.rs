//! The comparisons of this suite can fail: they see a row that is lost and one that is twice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use millstream_tests::binary::Installation;
use millstream_tests::crash::running::Running;
use millstream_tests::crash::tables::{Bytes, assert_nothing_twice, assert_same, current_views};
use millstream_tests::skip::need;

use crate::{data_file, import_of, my_turn, undisturbed};

#[test]
fn a_lost_file_and_a_doubled_one_are_seen() {
    let test = "crash::a_lost_file_and_a_doubled_one_are_seen";
    let Some(root) = need(test, "MILLSTREAM_DATA") else { return };
    let _turn = my_turn();
    let file = data_file("rees46_sample", &root);
    let expected = undisturbed::views("rees46.toml", &file);
    let installation = Installation::embedded();
    let arguments = import_of("rees46.toml", &file);
    Running::start(&installation, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).finish();
    let same = || {
        catch_unwind(AssertUnwindSafe(|| {
            assert_same(&expected, &current_views(&installation, Bytes::Hex), test);
        }))
    };
    let once = || catch_unwind(AssertUnwindSafe(|| assert_nothing_twice(&installation, test)));
    assert!(same().is_ok() && once().is_ok(), "it differs before anything was done to it");

    let orders = installation.folder().join("warehouse/orders");
    let some: PathBuf = std::fs::read_dir(&orders).unwrap().next().unwrap().unwrap().path();
    // Beyond any offset of the data set.
    let doubled = orders.join("0-90000000-90000001.parquet");
    std::fs::copy(&some, &doubled).unwrap();
    assert!(once().is_err(), "a doubled file was not seen");
    std::fs::remove_file(&doubled).unwrap();
    assert!(once().is_ok());

    std::fs::remove_file(&some).unwrap();
    assert!(same().is_err(), "a lost file was not seen");
}
