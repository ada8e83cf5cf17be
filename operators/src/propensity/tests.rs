//! Against a naive count over the events that may be used.

use proptest::prelude::*;

use super::Activity;
use crate::core::EventKind;
use crate::testing::{Told, events};
use millstream_scoring::Feature;

fn activity<'a>(told: impl IntoIterator<Item = &'a Told>) -> Activity {
    let mut activity = Activity::default();
    for told in told {
        activity.add(&told.event(), EventKind::of(told.kind));
    }
    activity
}

proptest! {
    /// An event without the purpose never reaches the operator: taking it away changes nothing.
    #[test]
    fn events_without_the_purpose_leave_no_trace(told in events(40)) {
        let allowed: Vec<Told> = told.iter().filter(|told| told.consent & 4 != 0).cloned().collect();
        prop_assert_eq!(activity(&told), activity(&allowed));
    }

    #[test]
    fn pings_and_clicks_leave_no_trace(told in events(40)) {
        let informative: Vec<Told> =
            told.iter().filter(|told| !matches!(told.kind, "page_ping" | "click" | "refund")).cloned().collect();
        prop_assert_eq!(activity(&told), activity(&informative));
    }

    #[test]
    fn features_are_counts_and_halves_add_up(told in events(40), cut in 0..40usize) {
        let whole = activity(&told);
        let cut = cut.min(told.len());
        let mut joined = activity(&told[cut..]);
        joined.absorb(&activity(&told[..cut]));
        prop_assert_eq!(joined, whole);
        let count = |kind: &str| told.iter().filter(|told| told.kind == kind && told.consent & 4 != 0).count() as f32;
        let features = whole.features(None);
        prop_assert_eq!(features.get(Feature::PageViews), count("page_view"));
        prop_assert_eq!(features.get(Feature::CartAdds), count("add_to_cart"));
        prop_assert_eq!(features.get(Feature::CheckoutSteps), count("checkout_step"));
        prop_assert_eq!(features.get(Feature::FunnelDepth) == 6.0, count("purchase") > 0.0);
    }
}
