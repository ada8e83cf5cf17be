//! A task over its own recorded input gives the same output bytes, record by record.

use millstream_runtime::StageFactory;
use millstream_simulation::replay::{TaskOutputs, Written, is_profiles, replay};
use millstream_tests::topology::{COLLECTED, Topology, factories, read};
use proptest::prelude::*;

use crate::scenario::{END_MS, PARTITIONS, happenings, in_order};

/// What a fresh stage writes over the recorded input of one partition.
fn replay_of(topology: &Topology, factory: &dyn StageFactory, input: &str, partition: u32) -> TaskOutputs {
    replay(factory, partition, &read(&topology.log, input, partition))
}

fn committed(topology: &Topology, topic: &str, partition: u32) -> Vec<Written> {
    let records = read(&topology.log, topic, partition).into_iter();
    records.map(|record| (record.timestamp_ms, record.key, record.value)).collect()
}

fn is_subsequence<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|wanted| rest.any(|found| found == wanted))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_task_replays_to_the_same_bytes(happenings in happenings(60), restarts in prop::collection::vec(any::<bool>(), 1..8)) {
        let mut topology = Topology::new(PARTITIONS, 5);
        for (number, event) in in_order(&happenings).iter().enumerate() {
            topology.collect(event);
            topology.step(0);
            topology.step(1);
            if number % 11 == 10 && restarts[number % restarts.len()] {
                topology.restart();
            }
        }
        topology.tick(END_MS);
        topology.drain();

        let (ingest, profile) = factories(PARTITIONS);
        for partition in 0..PARTITIONS {
            let replayed = replay_of(&topology, &profile, "events", partition);
            let others = ["events", "events.rejected", "ledger"];
            for topic in profile.outputs().into_iter().map(|spec| spec.name).filter(|name| !others.contains(&&**name)) {
                let empty = Vec::new();
                let expected = replayed.get(&(topic.clone(), partition)).unwrap_or(&empty);
                prop_assert_eq!(&committed(&topology, &topic, partition), expected, "{}", topic);
            }
            let replayed = replay_of(&topology, &ingest, COLLECTED, partition);
            let empty = Vec::new();
            let expected = replayed.get(&("identity".to_owned(), partition)).unwrap_or(&empty);
            prop_assert_eq!(&committed(&topology, "identity", partition), expected);
        }
        // Several tasks write to one partition of `events`: each task's own records are there, in its order, and nobody else's.
        for target in 0..PARTITIONS {
            let all = committed(&topology, "events", target);
            let (from_profile, from_ingest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, _, value)| is_profiles(value));
            for (stage, input, written) in [(&ingest as &dyn StageFactory, COLLECTED, from_ingest), (&profile, "events", from_profile)] {
                let mut count = 0;
                for task in 0..PARTITIONS {
                    let replayed = replay_of(&topology, stage, input, task);
                    let part = replayed.get(&("events".to_owned(), target)).cloned().unwrap_or_default();
                    count += part.len();
                    prop_assert!(is_subsequence(&part, &written), "task {} of {} to events[{}]", task, input, target);
                }
                prop_assert_eq!(count, written.len());
            }
        }
    }
}
