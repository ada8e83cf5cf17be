//! Settings of a site, and limits.

use millstream_ingest::dedup::BYTES_PER_ID;
use millstream_ingest::{BreakerConfig, Fate, IngestConfig, IngestFactory};
use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::Control;
use serde_json::json;

use crate::harness::*;

#[test]
fn a_broken_setting_is_a_dead_letter_and_the_old_one_stays() {
    for (body, reason, field) in [
        (json!({"horizon_ms": "long"}), "wrong_type", None),
        (json!({"horizon_ms": 0}), "out_of_range", Some("horizon_ms")),
        (json!({"consent_default": ["telepathy"]}), "wrong_type", None),
    ] {
        let out =
            run(&[site_config(1, 0, json!({"consent_default": []})), site_config(2, 0, body), page_view("e", "d")]);
        let letters = rejected(&out);
        assert_eq!((letters[0].reason, letters[0].field, letters.len()), (reason, field, 1));
        assert!(letters[0].detail.contains(SITE), "{}", letters[0].detail);
        assert_eq!(events(&out), [], "the policy before still refuses");
    }
}

#[test]
fn control_for_other_stages_does_nothing_here() {
    let control = Control { number: 1, kind: "promotion", site: SITE, effective_at: 0, body: "{}" };
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[framed(|bytes| control.encode_framed(Control::ID, bytes))], &mut out);
    assert!(out.is_empty());
    assert_eq!(stage.fates().get(Fate::Applied), 1);
}

#[test]
fn a_full_budget_stops_the_partition_and_forgets_nothing() {
    let mut config = config();
    config.dedup_budget_bytes = 3 * BYTES_PER_ID;
    let mut stage = IngestFactory::new(config).stage(PARTITION);
    let mut out = Outputs::new();
    let inputs: Vec<_> = (0..3).map(|n| page_view(&format!("e{n}"), "d")).collect();
    feed(&mut stage, 0, &inputs, &mut out);
    assert_eq!(stage.blocked(), None);
    feed(&mut stage, 3, &[page_view("e3", "d")], &mut out);
    assert!(stage.blocked().is_some_and(|why| why.contains("de-duplication budget is 144")));
    feed(&mut stage, 4, &inputs, &mut out);
    assert_eq!(stage.fates().get(Fate::Duplicate), 3);
    stage.undo_epoch();
    assert_eq!(stage.blocked(), None);
}

#[test]
fn too_many_devices_stop_the_partition() {
    let mut config = config();
    config.max_identities = 2;
    let mut stage = IngestFactory::new(config).stage(PARTITION);
    let inputs: Vec<_> = (0..3).map(|n| page_view(&format!("e{n}"), &format!("d{n}"))).collect();
    feed(&mut stage, 0, &inputs, &mut Outputs::new());
    assert!(stage.blocked().is_some_and(|why| why.contains("3 devices and users")));
    assert_eq!(stage.state_keys(), 3);
}

#[test]
fn totals_count_committed_epochs_only() {
    let factory = factory();
    let mut stage = factory.stage(PARTITION);
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[page_view("a", "d"), page_view("a", "d")], &mut out);
    assert!(stage.undo_bytes() > 0);
    stage.undo_epoch();
    feed(&mut stage, 0, &[page_view("a", "d"), page_view("b", "d")], &mut out);
    assert_eq!(factory.fates().get(Fate::Accepted), 0);
    stage.commit_epoch();
    assert_eq!((factory.fates().get(Fate::Accepted), factory.fates().get(Fate::Duplicate)), (2, 0));
    assert_eq!(stage.undo_bytes(), 0);
}

#[test]
fn the_factory_says_what_it_reads_and_writes() {
    let factory = factory();
    let names =
        |topics: Vec<millstream_transports::TopicSpec>| topics.into_iter().map(|topic| topic.name).collect::<Vec<_>>();
    assert_eq!(factory.name(), "ingest");
    assert_eq!(names(factory.inputs()), ["events.collected"]);
    assert_eq!(names(factory.outputs()), ["events", "events.rejected", "identity", "events.collected", "ledger"]);
    let mut boxed = factory.make(PARTITION);
    let mut out = Outputs::new();
    feed(boxed.as_mut(), 0, &[page_view("a", "d")], &mut out);
    assert_eq!(ids(&out), ["a"]);
}

#[test]
fn a_partition_of_which_too_much_is_refused_is_blocked_and_undo_lets_go() {
    let breaker = BreakerConfig { rejected_share_max: 0.1, window_records: 20 };
    let factory = IngestFactory::new(IngestConfig { breaker, ..config() });
    let mut stage = factory.stage(PARTITION);
    let mut out = Outputs::new();
    let bad = event(json!({"id": "x", "type": "no such type"}));
    feed(&mut stage, 0, &[page_view("a", "d"), bad.clone(), bad.clone()], &mut out);
    assert_eq!(stage.blocked(), None);
    stage.commit_epoch();
    feed(&mut stage, 10, std::slice::from_ref(&bad), &mut out);
    let why = stage.blocked().unwrap();
    assert!(why.contains("3 of 4 records were refused, 3 of them as unknown_event_type"), "{why}");
    stage.undo_epoch();
    assert_eq!(stage.blocked(), None);
    feed(&mut stage, 10, &[page_view("b", "d")], &mut out);
    assert_eq!(stage.blocked(), None);
}
