//! What only customers have: orders and refunds, and what was last told of them.

use millstream_schemas::{Id, OrderFact};
use smallvec::SmallVec;

use crate::attribution::{self, Ledger, Touches};
use crate::buyer::{self, Bought, Buyer, Changed, Folded, Past};
use crate::core::limits::CUSTOMER_RETENTION_MS;
use crate::core::{Context, RecordKey, Sink};
use crate::customer::{Customer, SiteDays, fold_order, fold_refund};
use crate::site::SiteConfig;
use crate::{churn, clv};

use super::state::{Person, UNARMED, end_of_day};

/// What only those have who have bought or given back, or of whom an order has told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trade {
    /// Orders and refunds.
    pub buyer: Buyer,
    /// Offline touches that name an order.
    pub named: Touches,
    /// What was last told of churn.
    pub churn: Option<churn::Emitted>,
    /// What was last told of value.
    pub clv: Option<clv::Emitted>,
}

/// A shop's rules for customers.
struct Rules {
    churn: churn::Rules,
    clv: clv::Rules,
}

impl Rules {
    fn of(site: &SiteConfig) -> Self {
        Self { churn: churn::Rules::of(site), clv: clv::Rules::of(site) }
    }

    fn days(&self) -> &SiteDays {
        &self.churn.days
    }
}

fn fold_into(past: &mut Past, folded: Folded<'_>, days: &SiteDays) {
    match folded {
        Folded::Order(order) => fold_order(past, order, days),
        Folded::Refund(refund) => fold_refund(past, refund, days),
    }
}

/// Whose the results are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub site: &'a str,
    pub person: Id,
    pub user_id: Option<&'a str>,
}

impl<'a> Whose<'a> {
    /// As attribution takes it.
    pub fn attribution(&self) -> attribution::Owner<'a> {
        attribution::Owner { site: self.site, person: self.person, user_id: self.user_id }
    }

    fn customer(&self) -> Customer<'a> {
        Customer { site: self.site, key: RecordKey::new(self.site, self.person), user_id: self.user_id }
    }
}

impl Trade {
    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.buyer.is_empty() && self.named.is_empty()
    }

    /// The tiers told, of churn and of value.
    pub fn tiers(&self) -> (Option<churn::Tier>, Option<clv::Tier>) {
        (self.churn.map(|told| told.tier), self.clv.map(|told| told.tier))
    }

    /// Bytes held, this struct included: orders and refunds with touches that name them, and what was last told.
    pub fn bytes(&self) -> (usize, usize) {
        let told = size_of::<Option<churn::Emitted>>() + size_of::<Option<clv::Emitted>>();
        // The counters of what shares it.
        (16 + size_of::<Self>() - told - size_of::<Buyer>() + self.buyer.bytes() + self.named.bytes(), told)
    }

    /// Takes a fact in and emits all that follows from it but the profile. `touches` are those of the person before.
    pub(super) fn on_fact(
        &mut self,
        fact: &OrderFact<'_>,
        touches: &Ledger,
        whose: Whose<'_>,
        site: &SiteConfig,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) -> Changed {
        let rules = Rules::of(site);
        let changed = buyer::apply(&mut self.buyer, fact, |past, folded| fold_into(past, folded, rules.days()));
        let owner = buyer::Owner { site: whose.site, person: whose.person, user_id: whose.user_id };
        buyer::emit_matches(&changed, &self.buyer, &owner, cx, sink);
        let (attribution, owner) = (attribution::Rules::of(site), whose.attribution());
        attribution::emit_order_changes(&changed, &self.buyer, touches, &owner, &attribution, cx, sink);
        if !changed.is_empty() {
            let customer = whose.customer();
            churn::on_fact(&self.buyer, &mut self.churn, &customer, &rules.churn, cx, sink);
            clv::on_fact(&self.buyer, &mut self.clv, &customer, &rules.clv, cx, sink);
        }
        changed
    }

    /// When something of it is due.
    pub(super) fn due_ms(&self, site: &SiteConfig, cx: &Context<'_>) -> i64 {
        let rules = Rules::of(site);
        let when_settled = |due_ms| cx.when_settled(due_ms);
        let due_ms = [
            churn::next_due_ms(self.churn.as_ref(), &rules.churn),
            clv::next_due_ms(self.clv.as_ref(), &rules.clv),
            self.buyer.due_ms().map(when_settled),
            self.named
                .due_ms(&attribution::Rules::of(site), cx.settled_ms, &ordered_at_ms(&self.buyer.orders))
                .map(when_settled),
            self.forgotten_ms().map(when_settled),
        ];
        due_ms.into_iter().flatten().min().unwrap_or(UNARMED)
    }

    /// When a customer of whom only the past is left is forgotten.
    fn forgotten_ms(&self) -> Option<i64> {
        let is_past = self.buyer.orders.is_empty() && self.buyer.refunds.is_empty();
        let until = self.buyer.past.until.filter(|_| is_past)?;
        Some(end_of_day(until.time_ms.saturating_add(CUSTOMER_RETENTION_MS)))
    }

    /// Tells what was due before the watermark, then gives up what nothing can revise any more: by what is settled, for orders and
    /// touches that name them are told of by other partitions.
    pub(super) fn on_timer(&mut self, whose: Whose<'_>, site: &SiteConfig, cx: &Context<'_>, sink: &mut impl Sink) {
        let rules = Rules::of(site);
        let customer = whose.customer();
        churn::on_timer(&self.buyer, &mut self.churn, &customer, &rules.churn, cx, sink);
        clv::on_timer(&self.buyer, &mut self.clv, &customer, &rules.clv, cx, sink);
        buyer::fold(&mut self.buyer, cx.settled_ms, |past, folded| fold_into(past, folded, rules.days()));
        let ordered_at_ms = ordered_at_ms(&self.buyer.orders);
        self.named.free(&attribution::Rules::of(site), cx.settled_ms, &ordered_at_ms);
        if self.forgotten_ms().is_some_and(|due_ms| due_ms < cx.settled_ms) {
            self.buyer.past = Past::default();
        }
    }
}

/// Times of orders, milliseconds UTC.
fn ordered_at_ms(orders: &[Bought]) -> SmallVec<[i64; 8]> {
    orders.iter().map(|order| order.place.time_ms).collect()
}

impl Person {
    /// Times of all orders that the person's credits may be made of, milliseconds UTC: those told by facts and those of which only the
    /// event has come, because a fact may lie far behind in the log.
    pub(super) fn ordered_at_ms(&self) -> SmallVec<[i64; 8]> {
        let purchases = self.sources.iter().filter_map(|source| source.purchases.as_deref()).flatten();
        let untold = purchases.filter(|purchase| purchase.order_id.is_some()).map(|purchase| purchase.event_time_ms);
        let mut all = ordered_at_ms(self.orders());
        all.extend(untold);
        all
    }

    /// The orders that are kept singly.
    pub fn orders(&self) -> &[Bought] {
        self.trade.as_ref().map_or(&[], |trade| &trade.buyer.orders)
    }

    /// All touches as they stand.
    pub(super) fn ledger(&self) -> Ledger {
        let none = Touches::default();
        let named = self.trade.as_ref().map_or(&none, |trade| &trade.named);
        Ledger::of(self.sources.iter().map(|source| (&source.sessions, &source.touches)), named)
    }

    /// Emits what a change of touches since `before` does to the credits of the person's orders.
    pub(super) fn emit_touch_changes(
        &self,
        id: Id,
        before: &Ledger,
        site: &SiteConfig,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) {
        let owner = attribution::Owner { site: &self.site, person: id, user_id: self.user_id.as_deref() };
        let rules = attribution::Rules::of(site);
        attribution::emit_touch_changes(before, &self.ledger(), self.orders(), &owner, &rules, cx, sink);
    }
}
