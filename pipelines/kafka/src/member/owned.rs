//! What a member owns, and how far each partition has been delivered.

use millstream_transports::TopicPartition;

/// State of one owned partition.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    /// The next offset to deliver as far as records and seeks tell; `None` before the first seek.
    pub(crate) next: Option<u64>,
    /// The caller has paused it.
    pub(crate) paused: bool,
    /// librdkafka delivers it. Kept exactly, because resuming what was not paused makes librdkafka fetch anew.
    pub(crate) flowing: bool,
    /// A record came in spite of the pause and was dropped; resuming must seek back for it.
    pub(crate) dropped: bool,
}

/// The owned partitions, indexed by topic and partition.
#[derive(Debug)]
pub(crate) struct Owned {
    topics: Vec<Vec<Option<State>>>,
    /// Address of librdkafka's topic object → index of the topic, so that a record costs no string comparison.
    seen: Vec<(usize, u16)>,
}

impl Owned {
    pub(crate) fn new(topics: usize) -> Self {
        Self { topics: vec![Vec::new(); topics], seen: Vec::new() }
    }

    pub(crate) fn get(&self, partition: TopicPartition) -> Option<&State> {
        self.topics.get(usize::from(partition.topic))?.get(partition.partition as usize)?.as_ref()
    }

    fn get_mut(&mut self, partition: TopicPartition) -> Option<&mut State> {
        self.topics.get_mut(usize::from(partition.topic))?.get_mut(partition.partition as usize)?.as_mut()
    }

    /// Adds partitions and returns them.
    pub(crate) fn add(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        self.seen.clear();
        for partition in partitions {
            if let Some(slots) = self.topics.get_mut(usize::from(partition.topic)) {
                let index = partition.partition as usize;
                if slots.len() <= index {
                    slots.resize(index + 1, None);
                }
                slots[index] = Some(State::default());
            }
        }
        partitions.to_vec()
    }

    /// Removes partitions and returns those that were there.
    pub(crate) fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        self.seen.clear();
        let taken = |partition: &&TopicPartition| {
            let slot = self
                .topics
                .get_mut(usize::from(partition.topic))
                .and_then(|slots| slots.get_mut(partition.partition as usize));
            slot.is_some_and(|slot| slot.take().is_some())
        };
        partitions.iter().filter(taken).copied().collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<TopicPartition> {
        let of = |(topic, slots): (usize, &Vec<Option<State>>)| {
            let owned = slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
            owned.filter_map(|(partition, _)| named(topic, partition)).collect::<Vec<_>>()
        };
        self.topics.iter().enumerate().flat_map(of).collect()
    }

    /// The partitions that were sought, with the next offset of each.
    pub(crate) fn sought(&self) -> impl Iterator<Item = (TopicPartition, u64)> {
        self.topics.iter().enumerate().flat_map(|(topic, slots)| {
            slots.iter().enumerate().filter_map(move |(partition, slot)| {
                let next = slot.as_ref()?.next?;
                Some((named(topic, partition)?, next))
            })
        })
    }

    /// Finds the partition of a record. `address` is that of librdkafka's topic object, stable while
    /// the partition is assigned; `topic` looks its index up by name where it is new.
    pub(crate) fn resolve(
        &mut self,
        address: usize,
        topic: impl FnOnce() -> Option<u16>,
        partition: i32,
    ) -> Option<TopicPartition> {
        let partition = u32::try_from(partition).ok()?;
        if let Some((_, index)) = self.seen.iter().find(|(seen, _)| *seen == address) {
            return Some(TopicPartition { topic: *index, partition });
        }
        let index = topic()?;
        self.seen.push((address, index));
        Some(TopicPartition { topic: index, partition })
    }

    /// Notes that the record at `offset` is delivered; false where it must not be.
    pub(crate) fn advance(&mut self, partition: TopicPartition, offset: u64) -> bool {
        match self.get_mut(partition) {
            Some(State { next: Some(next), paused: false, .. }) if offset >= *next => {
                *next = offset + 1;
                true
            }
            Some(state) if state.paused && state.next.is_some() => {
                state.dropped = true;
                false
            }
            _ => false,
        }
    }

    pub(crate) fn set_sought(&mut self, partition: TopicPartition, offset: u64) {
        if let Some(state) = self.get_mut(partition) {
            state.next = Some(offset);
            state.dropped = false;
        }
    }

    pub(crate) fn set_paused(&mut self, partition: TopicPartition, paused: bool) {
        if let Some(state) = self.get_mut(partition) {
            state.paused = paused;
        }
    }

    pub(crate) fn set_flowing(&mut self, partition: TopicPartition, flowing: bool) {
        if let Some(state) = self.get_mut(partition) {
            state.flowing = flowing;
        }
    }

    pub(crate) fn needs_resume(&self, partition: TopicPartition) -> bool {
        self.get(partition).is_some_and(|state| state.next.is_some() && !state.paused && !state.flowing)
    }

    pub(crate) fn needs_pause(&self, partition: TopicPartition) -> bool {
        self.get(partition).is_some_and(|state| state.paused && state.flowing)
    }
}

fn named(topic: usize, partition: usize) -> Option<TopicPartition> {
    Some(TopicPartition { topic: u16::try_from(topic).ok()?, partition: u32::try_from(partition).ok()? })
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    const P: TopicPartition = TopicPartition { topic: 1, partition: 3 };

    #[test]
    fn nothing_is_delivered_before_a_seek_nor_while_paused() {
        let mut owned = Owned::new(2);
        assert!(!owned.advance(P, 0), "not owned");
        owned.add(&[P]);
        assert!(!owned.advance(P, 0), "not sought");
        owned.set_sought(P, 5);
        assert!(!owned.advance(P, 4), "before the sought offset");
        assert!(owned.advance(P, 7), "offsets have gaps");
        assert!(!owned.advance(P, 7), "twice");
        owned.set_paused(P, true);
        assert!(!owned.advance(P, 8), "paused");
        assert!(owned.get(P).expect("owned").dropped, "seeks back on resuming");
        assert_eq!(owned.sought().collect::<Vec<_>>(), vec![(P, 8)]);
        assert_eq!(owned.remove(&[P]), vec![P]);
        assert_eq!(owned.remove(&[P]), vec![]);
    }

    #[test]
    fn a_partition_that_comes_back_starts_unsought() {
        let mut owned = Owned::new(2);
        owned.add(&[P]);
        owned.set_sought(P, 5);
        owned.remove(&[P]);
        owned.add(&[P]);
        assert!(owned.get(P).expect("owned").next.is_none());
        assert!(!owned.needs_resume(P));
    }
}
