//! The formula by hand-made examples, its bounds and its direction.

use proptest::prelude::*;

use super::{Parts, hundredths};
use crate::core::{EventKind, EventOrder};
use crate::sessions::{Seen, Session};
use crate::testing::{SOURCE, Told};

fn session() -> Session {
    let told = Told { id: "a".to_owned(), kind: "click", consent: 15, ..Told::default() };
    let event = told.event();
    let order = EventOrder::new(0, None, "a");
    Session::of(&Seen { event: &event, order, kind: EventKind::Other, source: SOURCE }, false)
}

fn with(engaged_ms: i64, page_views: u32, funnel_depth: u8, scroll_depth_pct: u8) -> Session {
    Session { engaged_ms, page_views_without_id: page_views, funnel_depth, scroll_depth_pct, ..session() }
}

#[test]
fn examples_by_hand() {
    for (case, parts) in [
        (with(0, 0, 0, 0), (0, 0, 0)),
        // A bounce: one page, nothing more.
        (with(0, 1, 1, 0), (0, 500, 400)),
        // A minute of reading, four pages, a product seen to the end: half of each saturating part.
        (with(60_000, 4, 3, 100), (2_000, 2_500, 1_000)),
        // A purchase after ten minutes and twelve pages.
        (with(600_000, 12, 6, 80), (3_636, 3_800, 1_500)),
    ] {
        let of = Parts::of(&case);
        assert_eq!((of.engaged_time, of.depth, of.page_views), parts);
        assert_eq!(hundredths(&case), parts.0 + parts.1 + parts.2);
    }
}

#[test]
fn reasons_are_the_largest_shares_first() {
    assert_eq!(Parts::of(&with(600_000, 1, 2, 0)).reasons(), ["engaged_time", "depth", "page_views"]);
    assert_eq!(Parts::of(&with(0, 30, 1, 0)).reasons(), ["page_views", "depth"]);
    assert!(Parts::of(&with(0, 0, 0, 0)).reasons().is_empty());
}

proptest! {
    #[test]
    fn stays_within_0_and_100_and_never_falls_with_more(
        engaged_ms in 0..i64::MAX, views in 0..u32::MAX, depth in 0..=6u8, scroll in 0..=100u8, more in 1..100_000i64,
    ) {
        let base = hundredths(&with(engaged_ms, views, depth, scroll));
        prop_assert!(base <= 10_000);
        prop_assert!(hundredths(&with(engaged_ms.saturating_add(more), views, depth, scroll)) >= base);
        prop_assert!(hundredths(&with(engaged_ms, views.saturating_add(1), depth, scroll)) >= base);
        prop_assert!(depth == 6 || hundredths(&with(engaged_ms, views, depth + 1, scroll)) > base);
    }
}
