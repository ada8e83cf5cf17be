//! Whose an order is: that of the event that told of it, unless its source has moved since.

use millstream_schemas::{Id, OrderEntry};

use super::state::{Order, Owner};
use crate::core::limits::OWNERS_PER_ORDER;

impl Order {
    /// The person and user of what `entry` told of.
    pub fn owner_of<'a>(&'a self, entry: &OrderEntry<'a>) -> (Option<Id>, Option<&'a str>) {
        let moved = self.owners.iter().find(|owner| Some(owner.source) == entry.source);
        match moved {
            Some(owner) => (owner.person, owner.user_id.as_deref()),
            None => (entry.person, entry.person_user_id),
        }
    }

    /// Notes a new owner; false where a later one is known already.
    pub(super) fn note_owner(&mut self, entry: &OrderEntry<'_>) -> bool {
        let Some(source) = entry.source else { return false };
        let owner = Owner {
            source,
            hand_overs: entry.hand_overs,
            person: entry.person,
            user_id: entry.person_user_id.map(Box::from),
        };
        let has_room = self.owners.len() < OWNERS_PER_ORDER;
        match self.owners.iter_mut().find(|known| known.source == source) {
            Some(known) if known.hand_overs >= owner.hand_overs => false,
            Some(known) => {
                *known = owner;
                true
            }
            None if has_room => {
                self.owners.push(owner);
                true
            }
            None => false,
        }
    }
}
