//! Time has passed.

use super::figures::{Figures, p_active_90d, score};
use super::{Emitted, Rules, Tier, outputs};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::{AsOf, Customer, PurchaseDays, last_ended_day};

/// Nothing is told so long after the last score: ten years.
const SILENT_AFTER_DAYS: i32 = 3_653;

/// When there is something to tell: the midnight that ends the day; `None` where there never is.
pub fn next_due_ms(emitted: Option<&Emitted>, rules: &Rules) -> Option<i64> {
    emitted?.due_day.map(|day| AsOf::end_of(day, &rules.days).ms)
}

/// Tells what was due before `cx.watermark_ms`, once, as of the last day of those. To be called before old orders are folded.
pub fn on_timer(
    buyer: &Buyer,
    emitted: &mut Option<Emitted>,
    customer: &Customer<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let Some(until_day) = last_ended_day(&rules.days, cx.watermark_ms) else { return };
    let Some(told) = *emitted else { return };
    let Some(day) = told.due_day.filter(|day| *day <= until_day) else { return };
    let as_of = AsOf::end_of(day, &rules.days);
    let Some(days) = PurchaseDays::of(buyer, &as_of, &rules.days) else { return };
    let (figures, told) = walk(score(days, as_of, rules), until_day, rules);
    *emitted = Some(told);
    let cx = Context { event_time_ms: figures.as_of.ms, source_event: "", ..*cx };
    outputs::emit(&figures, buyer, customer, rules, &cx, sink);
}

/// From one thing told to the next, to the last that is due by the end of `until_day`.
pub(super) fn walk(first: Figures, until_day: i32, rules: &Rules) -> (Figures, Emitted) {
    let mut figures = first;
    let mut told = Emitted::of(&figures, rules);
    while let Some(day) = told.due_day.filter(|day| *day <= until_day) {
        figures = score(figures.purchase_days, AsOf::end_of(day, &rules.days), rules);
        told = Emitted::of(&figures, rules);
    }
    (figures, told)
}

/// The first day after `told` on which the tier is another one or the probability has fallen by the difference.
pub(super) fn next_day(told: &Emitted, days: &PurchaseDays, rules: &Rules) -> Option<i32> {
    let is_due = |day: i32| {
        let p = p_active_90d(days, day, rules);
        Tier::of(p, &rules.settings) != told.tier || told.p_active_90d - p >= rules.settings.difference
    };
    first_day(told.day, i32::MAX, is_due)
}

/// The first day after `day` and before `before` on which `is_due` holds, where it goes on holding from then on. Looks ahead in
/// doubling strides, because most changes are near.
pub(crate) fn first_day(day: i32, before: i32, mut is_due: impl FnMut(i32) -> bool) -> Option<i32> {
    let end = day.saturating_add(SILENT_AFTER_DAYS).min(before.saturating_sub(1));
    let mut not_yet = day;
    let mut stride = 8;
    let mut due = loop {
        let ahead = not_yet.saturating_add(stride).min(end);
        if ahead <= not_yet {
            return None;
        }
        if is_due(ahead) {
            break ahead;
        }
        not_yet = ahead;
        stride *= 2;
    };
    while due - not_yet > 1 {
        let middle = not_yet + (due - not_yet) / 2;
        if is_due(middle) { due = middle } else { not_yet = middle }
    }
    Some(due)
}
