//! Our schema ids and a registry's.

/// Maps our static schema ids to the ids a registry gave the same schemas. Without a registry both are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaIds {
    /// (ours, registered), sorted by ours. Few enough that searching beats hashing.
    by_ours: Vec<(u32, u32)>,
    by_registered: Vec<(u32, u32)>,
}

impl SchemaIds {
    /// No registry: every id stands for itself.
    pub fn identity() -> Self {
        Self::default()
    }

    /// A registry's ids, as pairs (ours, registered). Where pairs repeat an id, the last one holds.
    pub fn registered(pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ids = Self::default();
        for (ours, registered) in pairs {
            insert(&mut ids.by_ours, ours, registered);
            insert(&mut ids.by_registered, registered, ours);
        }
        ids
    }

    /// The id to write into a frame for our schema `ours`: itself where the registry has none.
    #[inline]
    pub fn to_wire(&self, ours: u32) -> u32 {
        find(&self.by_ours, ours).unwrap_or(ours)
    }

    /// Our id for the id read from a frame. An id that the registry did not give stands for itself, so that records written before
    /// a registry was configured stay readable.
    #[inline]
    pub fn from_wire(&self, registered: u32) -> u32 {
        find(&self.by_registered, registered).unwrap_or(registered)
    }
}

fn insert(pairs: &mut Vec<(u32, u32)>, key: u32, value: u32) {
    match pairs.binary_search_by_key(&key, |pair| pair.0) {
        Ok(at) => pairs[at].1 = value,
        Err(at) => pairs.insert(at, (key, value)),
    }
}

#[inline]
fn find(pairs: &[(u32, u32)], key: u32) -> Option<u32> {
    if pairs.is_empty() {
        return None;
    }
    pairs.binary_search_by_key(&key, |pair| pair.0).ok().map(|at| pairs[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_registry_ids_stand_for_themselves() {
        let ids = SchemaIds::identity();
        assert_eq!((ids.to_wire(10), ids.from_wire(10)), (10, 10));
    }

    #[test]
    fn a_registrys_ids_are_mapped_both_ways() {
        let ids = SchemaIds::registered([(10, 3), (13, 7), (3, 10)]);
        assert_eq!((ids.to_wire(10), ids.to_wire(13), ids.to_wire(3)), (3, 7, 10));
        assert_eq!((ids.from_wire(3), ids.from_wire(7), ids.from_wire(10)), (10, 13, 3));
        assert_eq!((ids.to_wire(99), ids.from_wire(99)), (99, 99));
    }
}
