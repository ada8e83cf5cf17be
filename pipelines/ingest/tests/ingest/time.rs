//! Corrected time, lateness, imports and the watermark.

use millstream_ingest::Fate;
use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::Collected;
use serde_json::json;

use crate::harness::*;

const HOUR: i64 = 3_600_000;

fn sent(id: &str, received_at: i64, sent_at: Option<i64>, time: Option<i64>) -> Vec<u8> {
    let payload = json!({"id": id, "type": "page_view", "device": "d", "time": time}).to_string();
    let collected = Collected {
        site: SITE,
        origin: "http",
        received_at,
        sent_at,
        payload: payload.as_bytes(),
        ..Collected::default()
    };
    framed(|bytes| collected.encode_framed(Collected::ID, bytes))
}

fn imported(id: &str, time: i64, line: i64) -> Vec<u8> {
    let payload = json!({"id": id, "type": "page_view", "device": "d", "time": time}).to_string();
    let collected = Collected {
        site: SITE,
        origin: "import",
        received_at: time,
        data_set: Some("shop-2011"),
        file: Some("log.csv"),
        line: Some(line),
        payload: payload.as_bytes(),
        ..Collected::default()
    };
    framed(|bytes| collected.encode_framed(Collected::ID, bytes))
}

fn watermarks(out: &Outputs) -> Vec<(u32, i64)> {
    let all = written(out).into_iter();
    all.filter_map(|written| match written {
        Written::Watermark(at, watermark) => {
            assert_eq!((watermark.upstream, watermark.upstreams), (2, 3));
            Some((at, watermark.time))
        }
        _ => None,
    })
    .collect()
}

#[test]
fn clocks_are_corrected_and_the_correction_is_told() {
    let year = 365 * 24 * HOUR;
    let out = run(&[
        sent("future", NOON, Some(NOON + year), Some(NOON + year - 500)),
        sent("ancient", NOON, Some(1_000), Some(500)),
        sent("ahead", NOON, None, Some(NOON + year)),
        sent("right", NOON, None, Some(NOON - HOUR)),
        sent("none", NOON, Some(NOON), None),
    ]);
    let times: Vec<_> = events(&out)
        .iter()
        .map(|event| (event.event_id.to_owned(), event.event_time, event.time_quality.to_owned()))
        .collect();
    let row = |id: &str, time: i64, quality: &str| (id.to_owned(), time, quality.to_owned());
    assert_eq!(
        times,
        [
            row("future", NOON - 500, "corrected"),
            row("ancient", NOON - 500, "corrected"),
            row("ahead", NOON, "clamped"),
            row("right", NOON - HOUR, "as_sent"),
            row("none", NOON, "received"),
        ]
    );
}

#[test]
fn too_late_is_decided_from_the_record_alone() {
    let late = sent("late", NOON, Some(NOON), Some(NOON - 25 * HOUR));
    for before in [vec![], vec![sent("newer", NOON + 100 * HOUR, None, None)]] {
        let mut inputs = before;
        inputs.push(late.clone());
        inputs.push(sent("held", NOON, Some(NOON), Some(NOON - 24 * HOUR)));
        let out = run(&inputs);
        assert_eq!(
            rejected(&out).iter().map(|letter| (letter.reason, letter.event_id)).collect::<Vec<_>>(),
            [("too_late", Some("late"))]
        );
        assert!(ids(&out).contains(&"held".to_owned()));
    }
    let out = run(&[site_config(1, 0, json!({"horizon_ms": 48 * HOUR})), late]);
    assert_eq!(ids(&out), ["late"]);
}

#[test]
fn imports_are_trusted_and_their_rejects_name_file_and_line() {
    let broken = {
        let collected = Collected {
            site: SITE,
            origin: "import",
            received_at: 1_000,
            data_set: Some("shop-2011"),
            file: Some("log.csv"),
            line: Some(7),
            payload: b"{}",
            ..Collected::default()
        };
        framed(|bytes| collected.encode_framed(Collected::ID, bytes))
    };
    let mut stage = stage();
    let mut out = Outputs::new();
    let inputs = [imported("old", 1_300_000_000_000, 5), imported("old", 1_300_000_000_000, 5), broken];
    feed(&mut stage, 0, &inputs, &mut out);
    let event = &events(&out)[0];
    assert_eq!((event.event_time, event.time_quality, event.origin), (1_300_000_000_000, "trusted", "import"));
    assert_eq!(stage.fates().get(Fate::Duplicate), 0, "an import de-duplicates by its own progress");
    let letters = rejected(&out);
    assert_eq!(letters[0].rejection_id, "shop-2011:log.csv:7");
    assert_eq!((letters[0].data_set, letters[0].file, letters[0].line), (Some("shop-2011"), Some("log.csv"), Some(7)));
}

#[test]
fn the_watermark_is_announced_in_every_partition_every_quarter_second() {
    let at = |id: &str, received_at: i64| sent(id, received_at, None, None);
    let out = run(&[at("a", NOON), at("b", NOON + 249), at("c", NOON + 100), at("d", NOON + 250)]);
    let partitions = 0..EVENTS_PARTITIONS;
    let expected: Vec<_> =
        [NOON - 1_000, NOON - 750].into_iter().flat_map(|time| partitions.clone().map(move |at| (at, time))).collect();
    assert_eq!(watermarks(&out), expected);
}

#[test]
fn ticks_move_time_where_no_event_comes_and_imports_have_no_bound() {
    let first =
        |out: &Outputs| watermarks(out).iter().filter(|(at, _)| *at == 0).map(|(_, time)| *time).collect::<Vec<_>>();
    assert_eq!(
        first(&run(&[tick("live", NOON), tick("live", NOON + 1), tick("live", NOON + 1)])),
        [NOON - 1_000, NOON - 999]
    );
    assert_eq!(first(&run(&[tick("import", 500), imported("a", 700, 1), imported("b", 750, 2)])), [500, 750]);
    let (output, value) = factory().tick(NOON).unwrap();
    assert_eq!(output, millstream_ingest::OUT_COLLECTED);
    assert_eq!(first(&run(&[value])), [NOON - 1_000]);
}

#[test]
fn the_stage_says_what_time_it_is_and_how_full_its_ids_are() {
    let mut stage = stage();
    assert_eq!(stage.watermark_ms(), None);
    feed(&mut stage, 0, &[sent("a", NOON, None, None)], &mut Outputs::new());
    assert_eq!(stage.watermark_ms(), Some(NOON - 1_000));
    assert_eq!(stage.budget_percent(), Some(0), "one id of a budget for millions");
}

#[test]
fn a_rejected_event_moves_time_too() {
    let out = run(&[live(NOON, b"broken")]);
    assert_eq!(watermarks(&out).len(), EVENTS_PARTITIONS as usize);
}
