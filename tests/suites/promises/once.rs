//! A session revised several times counts once.

use millstream_tests::topology::{CollectedEvent, Topology};
use millstream_tests::views::current_views;

const START_MS: i64 = 1_790_000_000_000;

fn page_view(number: i64, minute: i64) -> CollectedEvent {
    CollectedEvent {
        device: "d1".to_owned(),
        received_at: START_MS + 3_600_000 + number,
        payload: format!(
            r#"{{"id":"e{number}","type":"page_view","device":"d1","time":{}}}"#,
            START_MS + minute * 60_000
        ),
    }
}

#[test]
fn a_session_revised_three_times_counts_once_and_a_bridged_one_not_at_all() {
    let mut topology = Topology::new(2, 5);
    // 0 and 50 are two sessions until 25 bridges them; -5 then gives the whole a new first event.
    for (number, minute) in [(1, 0), (2, 50), (3, 25), (4, -5)] {
        topology.collect(&page_view(number, minute));
        topology.drain();
    }
    let views = current_views(&topology.log, 2);
    let sessions = &views["sessions"];
    assert_eq!(sessions.len(), 1, "{sessions:#?}");
    let session = sessions.values().next().unwrap();
    assert_eq!(session["events"], "Long(4)");
    assert_eq!(session["duration_ms"], format!("Long({})", 55 * 60_000));
    assert_eq!(views["events"].len(), 4);
}
