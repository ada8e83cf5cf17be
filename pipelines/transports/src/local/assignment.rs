//! Which member gets which partitions: sticky (what a member has it keeps, up to its fair share) and co-partitioned (topics
//! consumed by the same members give the same partition number to the same member). A pure function, in a fixed order.

use std::collections::BTreeMap;

/// A member as far as assignment needs it.
pub(crate) struct Candidate {
    pub member: u64,
    /// Sorted before the member's number, so that a member that comes back finds its place.
    pub instance_id: String,
    /// Numbers of the topics it consumes.
    pub topics: Vec<u32>,
}

/// Topic number and partition.
pub(crate) type Place = (u32, u32);

/// The new owner of every partition that somebody consumes. `partitions` has the count of each topic.
pub(crate) fn assign(
    candidates: &[Candidate],
    partitions: &BTreeMap<u32, u32>,
    previous: &BTreeMap<Place, u64>,
) -> BTreeMap<Place, u64> {
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    order.sort_by(|a, b| (&a.instance_id, a.member).cmp(&(&b.instance_id, b.member)));

    // Topics with the same consumers form a class that moves together.
    let mut classes: BTreeMap<Vec<usize>, Vec<u32>> = BTreeMap::new();
    for &topic in partitions.keys() {
        let consumers: Vec<usize> =
            order.iter().enumerate().filter(|(_, c)| c.topics.contains(&topic)).map(|(n, _)| n).collect();
        if !consumers.is_empty() {
            classes.entry(consumers).or_default().push(topic);
        }
    }

    let mut target = BTreeMap::new();
    for (consumers, topics) in &classes {
        let members: Vec<u64> = consumers.iter().filter_map(|&n| order.get(n)).map(|c| c.member).collect();
        let count = |topic: &u32| partitions.get(topic).copied().unwrap_or(0);
        let widest = topics.iter().map(count).max().unwrap_or(0);
        let before = |number: u32| topics.iter().find_map(|&topic| previous.get(&(topic, number))).copied();
        for (number, member) in share(&members, widest, before) {
            for &topic in topics.iter().filter(|topic| number < count(topic)) {
                target.insert((topic, number), member);
            }
        }
    }
    target
}

/// Shares the numbers `0..count` among `members` so that shares differ by one at most and as few as possible move.
fn share(members: &[u64], count: u32, before: impl Fn(u32) -> Option<u64>) -> Vec<(u32, u64)> {
    let mut held: Vec<Vec<u32>> = vec![Vec::new(); members.len()];
    let mut free: Vec<u32> = Vec::new();
    for number in 0..count {
        let owner = before(number).and_then(|owner| members.iter().position(|&m| m == owner));
        match owner.and_then(|owner| held.get_mut(owner)) {
            Some(numbers) => numbers.push(number),
            None => free.push(number),
        }
    }
    // Those who hold most get the larger shares: fewest partitions move.
    let (floor, larger) = (count as usize / members.len().max(1), count as usize % members.len().max(1));
    let mut by_holding: Vec<usize> = (0..members.len()).collect();
    by_holding.sort_by_key(|&n| std::cmp::Reverse(held.get(n).map_or(0, Vec::len)));
    let mut quota = vec![floor; members.len()];
    for &n in by_holding.iter().take(larger) {
        if let Some(quota) = quota.get_mut(n) {
            *quota += 1;
        }
    }
    for (numbers, &quota) in held.iter_mut().zip(&quota) {
        free.extend(numbers.drain(quota.min(numbers.len())..));
    }
    free.sort_unstable();
    let mut free = free.into_iter();
    for (numbers, &quota) in held.iter_mut().zip(&quota) {
        while numbers.len() < quota {
            match free.next() {
                Some(number) => numbers.push(number),
                None => break,
            }
        }
    }
    let mut shared: Vec<(u32, u64)> = Vec::new();
    for (numbers, &member) in held.iter().zip(members) {
        shared.extend(numbers.iter().map(|&number| (number, member)));
    }
    shared.sort_unstable();
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(member: u64, topics: &[u32]) -> Candidate {
        Candidate { member, instance_id: format!("worker-{member}"), topics: topics.to_vec() }
    }

    #[test]
    fn topics_consumed_together_move_together() {
        let members = [candidate(1, &[7, 8]), candidate(2, &[7, 8]), candidate(3, &[7, 8])];
        let counts = BTreeMap::from([(7, 8), (8, 4)]);
        let target = assign(&members, &counts, &BTreeMap::new());
        assert_eq!(target.len(), 12);
        for number in 0..4 {
            assert_eq!(target.get(&(7, number)), target.get(&(8, number)));
        }
    }

    #[test]
    fn a_topic_goes_only_to_those_who_consume_it() {
        let members = [candidate(1, &[1]), candidate(2, &[1, 2])];
        let target = assign(&members, &BTreeMap::from([(1, 4), (2, 4)]), &BTreeMap::new());
        assert!((0..4).all(|number| target.get(&(2, number)) == Some(&2)));
    }

    proptest! {
        #[test]
        fn shares_are_fair_whole_and_sticky(
            rounds in prop::collection::vec(prop::collection::btree_set(0u64..6, 1..6), 1..6),
            count in 1u32..20,
        ) {
            let counts = BTreeMap::from([(1, count)]);
            let mut previous: BTreeMap<Place, u64> = BTreeMap::new();
            for members in rounds {
                let candidates: Vec<Candidate> = members.iter().map(|&m| candidate(m, &[1])).collect();
                let target = assign(&candidates, &counts, &previous);
                prop_assert_eq!(target.len(), count as usize);
                let shares: Vec<usize> =
                    members.iter().map(|m| target.values().filter(|owner| *owner == m).count()).collect();
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{:?}", shares);
                // A partition whose owner stays moves only off a member that had more than its share.
                for (place, owner) in &target {
                    if let Some(before) = previous.get(place)
                        && members.contains(before) && before != owner
                    {
                        let had = previous.values().filter(|o| *o == before).count();
                        prop_assert!(had > *least);
                    }
                }
                previous = target;
            }
        }
    }
}
