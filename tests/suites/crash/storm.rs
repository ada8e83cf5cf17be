//! A short storm: what `cargo run -p millstream-tests --bin storm` does at length.

use millstream_tests::crash::storm::{Storm, run};
use millstream_tests::skip::skip;

use crate::my_turn;

#[test]
fn a_short_storm_loses_and_doubles_nothing() {
    let test = "crash::a_short_storm_loses_and_doubles_nothing";
    let _turn = my_turn();
    let storm = Storm { hits: 10, events_per_second: 100, ..Storm::default() };
    let Some(report) = run(test, &storm) else { return };
    for check in report.checks.iter().filter(|check| check.good.is_none()) {
        skip(&format!("{test} ({})", check.name), &check.says);
    }
    assert!(report.is_good(), "{report}");
}
