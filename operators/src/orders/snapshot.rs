//! What a snapshot keeps of orders: the tellings as they came, owners, who is told, and the due time of the timer set.

use std::sync::Arc;

use millstream_schemas::Id;
use smallvec::SmallVec;

use super::state::{Addressee, Order, Orders, Owner, Told};
use crate::core::encoding::{write, write_id, write_list, write_order};
use crate::core::limits::{OWNERS_PER_ORDER, REFUNDS_PER_ORDER, TOUCHES_PER_ORDER};
use crate::core::{StateError, StateReader};

/// Version of an order's encoding.
pub const VERSION: u8 = 1;

impl Order {
    /// Appends all that is kept of the order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write::long(out, self.armed_ms);
        write::optional(out, self.addressee.person, write_id);
        write::long(out, i64::from(self.addressee.hand_overs));
        write::optional(out, self.purchase.as_ref(), write_told);
        write_list(out, &self.refunds, write_told);
        write_list(out, &self.touches, write_told);
        write_list(out, &self.owners, |out, owner| {
            write_id(out, owner.source);
            write::long(out, i64::from(owner.hand_overs));
            write::optional(out, owner.person, write_id);
            write::optional(out, owner.user_id.as_deref(), write::str);
        });
    }

    /// Reads what [`Order::encode`] wrote, in this version of it or an older one.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let reader = &mut reader;
        let order = Self {
            armed_ms: reader.long()?,
            addressee: Addressee { person: reader.optional(StateReader::id)?, hand_overs: reader.small()? },
            purchase: reader.optional(read_told)?,
            refunds: reader.list("refunds", REFUNDS_PER_ORDER, read_told)?,
            touches: reader.list("touches", TOUCHES_PER_ORDER, read_told)?,
            owners: SmallVec::from_vec(reader.list("owners", OWNERS_PER_ORDER, read_owner)?),
        };
        reader.finish()?;
        Ok(order)
    }
}

fn write_told(out: &mut Vec<u8>, told: &Told) {
    write_order(out, &told.order);
    write::bytes(out, &told.body);
}

fn read_told(reader: &mut StateReader<'_>) -> Result<Told, StateError> {
    Ok(Told { order: reader.order()?, body: Arc::from(reader.bytes()?) })
}

fn read_owner(reader: &mut StateReader<'_>) -> Result<Owner, StateError> {
    Ok(Owner {
        source: reader.id()?,
        hand_overs: reader.small()?,
        person: reader.optional(StateReader::id)?,
        user_id: reader.optional(StateReader::str)?.map(Box::from),
    })
}

impl Orders {
    /// From now on what changes is noted, for snapshots; before any order is here.
    pub fn track(&mut self) {
        self.entries.track();
    }

    /// The orders as they are now are what the next snapshot holds. Between epochs.
    pub fn mark(&mut self) {
        self.entries.mark();
    }

    /// As [`People::next_changed`](crate::person::People::next_changed), of orders by their [`state_id`](super::state_id).
    pub fn next_changed(&mut self, write: impl FnMut(u128, Option<&Order>) -> bool) -> bool {
        self.entries.next_changed(write)
    }

    /// What was written since the mark is kept, or belongs to the next one.
    pub fn end_mark(&mut self, kept: bool) {
        self.entries.end_mark(kept);
    }

    /// Takes an order of a snapshot in, with its timer, unless it is here already.
    ///
    /// # Errors
    /// As [`Order::decode`].
    pub fn restore(&mut self, id: Id, value: &[u8]) -> Result<(), StateError> {
        let Self { entries, timers } = self;
        entries.try_restore(id.0, || {
            let order = Order::decode(value)?;
            timers.restore(order.armed_ms, id.0);
            Ok(order)
        })?;
        Ok(())
    }
}
