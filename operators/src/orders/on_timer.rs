//! Gives up what can be revised no more. Emits nothing: the rows stay.

use millstream_schemas::Id;

use super::state::Orders;

impl Orders {
    /// Frees orders whose retention ended before `settled_ms` ([`Context::settled_ms`](crate::core::Context::settled_ms)): a change of
    /// owner may still be on its way through other partitions.
    pub fn on_settled(&mut self, settled_ms: i64) {
        while let Some((due_ms, id)) = self.timers.pop_before(settled_ms) {
            let Some(order) = self.entries.get(id).filter(|order| order.armed_ms == due_ms) else { continue };
            if order.due_ms() < settled_ms {
                self.entries.remove(id);
            } else {
                self.set_timer(id);
            }
        }
    }

    /// Makes sure that the order's timer is set. A later due time waits for the timer to fire and look; an earlier one (the purchase
    /// came after its refund) gets a timer of its own, and the other one fires for nothing.
    pub(super) fn arm(&mut self, id: Id) {
        if self.entries.get(id.0).is_some_and(|order| order.armed_ms == 0 || order.due_ms() < order.armed_ms) {
            self.set_timer(id.0);
        }
    }

    fn set_timer(&mut self, id: u128) {
        if let Some(order) = self.entries.get_mut(id) {
            order.armed_ms = order.due_ms();
            self.timers.add(order.armed_ms, id);
        }
    }
}
