//! A namespace that was handed over to another one.

use millstream_ingest::Fate;
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::Control;
use millstream_schemas::closing::NAMESPACE_CLOSED_KIND;

use crate::harness::*;

#[test]
fn nothing_is_accepted_and_no_time_passes_until_it_is_open_again() {
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[page_view("before", "d"), namespace_closed(1, Some("next."))], &mut out);
    let watermark = stage.watermark_ms();
    let written = out.len();
    feed(&mut stage, 2, &[page_view("late", "d"), tick("live", NOON + 86_400_000)], &mut out);
    assert_eq!((stage.watermark_ms(), out.len()), (watermark, written + 1), "one dead letter");
    let letters = rejected(&out);
    assert_eq!((letters[0].reason, letters[0].event_id), ("namespace_closed", Some("late")));
    assert!(!letters[0].payload.is_empty());

    feed(&mut stage, 4, &[namespace_closed(2, None), page_view("late", "d"), page_view("before", "d")], &mut out);
    assert_eq!(ids(&out), ["before", "late"], "what was refused was not noted as seen");
    let fates = stage.fates();
    let counts = [Fate::Accepted, Fate::Rejected, Fate::Duplicate, Fate::Applied].map(|fate| fates.get(fate));
    assert_eq!(counts, [2, 1, 1, 3]);
}

#[test]
fn an_aborted_epoch_takes_a_closing_back() {
    let mut stage = stage();
    feed(&mut stage, 0, &[namespace_closed(1, Some("next."))], &mut Outputs::new());
    stage.undo_epoch();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[page_view("e", "d")], &mut out);
    assert_eq!(ids(&out), ["e"]);
}

#[test]
fn a_closing_that_cannot_be_read_is_a_dead_letter_and_closes_nothing() {
    let control = Control { number: 1, kind: NAMESPACE_CLOSED_KIND, site: "", effective_at: 0, body: "next." };
    let broken = framed(|bytes| control.encode_framed(Control::ID, bytes));
    let out = run(&[broken, page_view("e", "d")]);
    assert_eq!((rejected(&out)[0].reason, ids(&out).as_slice()), ("wrong_type", ["e".to_owned()].as_slice()));
}
