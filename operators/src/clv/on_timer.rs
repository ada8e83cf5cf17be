//! Time has passed.

use super::figures::{Figures, figures};
use super::next_day::next_day;
use super::{Emitted, Rules, outputs};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::{AsOf, Customer, last_ended_day};

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
    let Some(first) = figures(buyer, AsOf::end_of(day, &rules.days), rules) else { return };
    let (figures, told) = walk(first, Some(&told), until_day, buyer, rules);
    *emitted = Some(told);
    let cx = Context { event_time_ms: figures.as_of.ms, source_event: "", ..*cx };
    outputs::emit(&figures, buyer, customer, rules, &cx, sink);
}

/// From one thing told to the next, to the last that is due by the end of `until_day`.
pub(super) fn walk(
    first: Figures,
    before: Option<&Emitted>,
    until_day: i32,
    buyer: &Buyer,
    rules: &Rules,
) -> (Figures, Emitted) {
    let mut now = first;
    let mut told = Emitted::of(&now, before);
    loop {
        told.due_day = next_day(&told, &now, buyer, rules);
        let due = told.due_day.filter(|day| *day <= until_day);
        let Some(next) = due.and_then(|day| figures(buyer, AsOf::end_of(day, &rules.days), rules)) else {
            return (now, told);
        };
        now = next;
        told = Emitted::of(&now, Some(&told));
    }
}
