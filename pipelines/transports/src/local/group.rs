//! Consumer groups: who is a member, who owns what, what is committed.
//!
//! A partition changes hands only when its old owner has heard of it in its own poll (or is gone), so a member's commit is safe
//! until it polls, as on Kafka, where a generation ends only when its members rejoin.

use std::collections::BTreeMap;

use super::assignment::{Candidate, Place, assign};
use crate::Committed;

#[derive(Debug)]
struct GroupMember {
    instance_id: String,
    /// Topic number and partition count.
    topics: Vec<(u32, u32)>,
    /// Set when the member went away without closing, and moved ahead by each poll of one that must poll in time.
    expires_at_ms: Option<i64>,
}

/// What a poll has to tell a member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Handover {
    pub revoked: Vec<Place>,
    pub assigned: Vec<Place>,
}

/// One consumer group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<u64, GroupMember>,
    target: BTreeMap<Place, u64>,
    owners: BTreeMap<Place, u64>,
    /// Rises whenever a poll could have something to tell.
    version: u64,
    pub offsets: BTreeMap<Place, Committed>,
}

impl Group {
    /// Adds a member. One with the same instance id is replaced, and its partitions pass to the newcomer.
    pub(crate) fn join(&mut self, member: u64, instance_id: &str, topics: Vec<(u32, u32)>) {
        let same: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, other)| other.instance_id == instance_id)
            .map(|(&number, _)| number)
            .collect();
        for old in same {
            self.members.remove(&old);
            self.owners.retain(|_, owner| *owner != old);
            for owner in self.target.values_mut().filter(|owner| **owner == old) {
                *owner = member;
            }
        }
        let newcomer = GroupMember { instance_id: instance_id.to_owned(), topics, expires_at_ms: None };
        self.members.insert(member, newcomer);
        self.rebalance();
    }

    /// Takes a member out at once; what it owned is free.
    pub(crate) fn remove(&mut self, member: u64) {
        if self.members.remove(&member).is_some() {
            self.owners.retain(|_, owner| *owner != member);
            self.rebalance();
        }
    }

    /// The member's process is gone without a word, or must be heard of again: it keeps its partitions until then.
    pub(crate) fn abandon(&mut self, member: u64, expires_at_ms: i64) {
        if let Some(member) = self.members.get_mut(&member) {
            member.expires_at_ms = Some(expires_at_ms);
        }
    }

    /// Removes members whose time is up. Returns whether there was one, and the next time to look.
    pub(crate) fn expire(&mut self, now_ms: i64) -> (bool, Option<i64>) {
        let due = |member: &GroupMember| member.expires_at_ms.is_some_and(|at| at <= now_ms);
        let gone: Vec<u64> = self.members.iter().filter(|(_, m)| due(m)).map(|(&number, _)| number).collect();
        for &member in &gone {
            self.remove(member);
        }
        (!gone.is_empty(), self.members.values().filter_map(|member| member.expires_at_ms).min())
    }

    /// Takes everything from a member that it will be given back: a rebalance without a cause.
    pub(crate) fn shake(&mut self, member: u64) -> Vec<Place> {
        let (taken, kept) = std::mem::take(&mut self.owners).into_iter().partition(|(_, owner)| *owner == member);
        self.owners = kept;
        self.version += 1;
        let taken: BTreeMap<Place, u64> = taken;
        taken.into_keys().collect()
    }

    /// Changes with everything that [`Group::sync`] may answer.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Moves ownership of this member's partitions towards the target. `None`: it is no member (any more).
    pub(crate) fn sync(&mut self, member: u64) -> Option<Handover> {
        if !self.members.contains_key(&member) {
            return None;
        }
        let mut handover = Handover::default();
        for (&place, &owner) in &self.owners {
            if owner == member && self.target.get(&place) != Some(&member) {
                handover.revoked.push(place);
            }
        }
        for place in &handover.revoked {
            self.owners.remove(place);
        }
        for (&place, &owner) in &self.target {
            if owner == member && !self.owners.contains_key(&place) {
                handover.assigned.push(place);
            }
        }
        for &place in &handover.assigned {
            self.owners.insert(place, member);
        }
        if !handover.revoked.is_empty() {
            self.version += 1;
        }
        Some(handover)
    }

    pub(crate) fn has(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    pub(crate) fn owns(&self, member: u64, place: Place) -> bool {
        self.owners.get(&place) == Some(&member)
    }

    fn rebalance(&mut self) {
        let candidates: Vec<Candidate> = self
            .members
            .iter()
            .map(|(&member, m)| Candidate {
                member,
                instance_id: m.instance_id.clone(),
                topics: m.topics.iter().map(|(topic, _)| *topic).collect(),
            })
            .collect();
        let partitions: BTreeMap<u32, u32> = self.members.values().flat_map(|m| m.topics.iter().copied()).collect();
        self.target = assign(&candidates, &partitions, &self.target);
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(numbers: &[u32]) -> Vec<Place> {
        numbers.iter().map(|&n| (1, n)).collect()
    }

    #[test]
    fn a_partition_is_free_only_after_its_owner_heard() {
        let mut group = Group::default();
        group.join(1, "a", vec![(1, 4)]);
        assert_eq!(group.sync(1).unwrap().assigned, places(&[0, 1, 2, 3]));
        group.join(2, "b", vec![(1, 4)]);
        assert_eq!(group.sync(2).unwrap(), Handover::default(), "nothing is free yet");
        assert!(group.owns(1, (1, 3)));
        assert_eq!(group.sync(1).unwrap().revoked, places(&[2, 3]));
        assert_eq!(group.sync(2).unwrap().assigned, places(&[2, 3]));
    }

    #[test]
    fn the_same_instance_takes_over_without_moving_others() {
        let mut group = Group::default();
        group.join(1, "a", vec![(1, 4)]);
        group.join(2, "b", vec![(1, 4)]);
        let first = group.sync(1).unwrap().assigned;
        let second = group.sync(2).unwrap().assigned;
        group.abandon(1, 100);
        group.join(3, "a", vec![(1, 4)]);
        assert_eq!(group.sync(3).unwrap().assigned, first);
        assert!(group.sync(1).is_none());
        assert_eq!(group.sync(2).unwrap(), Handover::default());
        assert!(second.iter().all(|&place| group.owns(2, place)));
    }

    #[test]
    fn an_abandoned_membership_ends_with_its_time() {
        let mut group = Group::default();
        group.join(1, "a", vec![(1, 2)]);
        group.join(2, "b", vec![(1, 2)]);
        group.sync(1);
        group.sync(2);
        group.abandon(1, 100);
        assert_eq!(group.expire(99), (false, Some(100)));
        assert_eq!(group.expire(100), (true, None));
        assert_eq!(group.sync(2).unwrap().assigned, places(&[0]));
    }
}
