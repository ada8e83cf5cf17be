//! What `millstream replay tasks` compares: a task's transactions, as its ledger notes them, with what the stage gives now.

use std::sync::Arc;

use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_replay::task::{From, Setting, replay};
use millstream_runtime::StageFactory;
use millstream_runtime::snapshot::MemorySnapshots;
use millstream_schemas::SchemaIds;
use millstream_scoring::Model;
use millstream_scoring::builtin::PROPENSITY;
use millstream_tests::topology::{Topology, factories, read, spec};
use proptest::prelude::*;

use crate::scenario::{END_MS, PARTITIONS, happenings, in_order};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn finds_every_transaction_equal_and_another_stage_different(happenings in happenings(60)) {
        let mut topology = Topology::new(PARTITIONS, 5);
        for (number, event) in in_order(&happenings).iter().enumerate() {
            topology.collect(event);
            topology.step(0);
            topology.step(1);
            if number % 17 == 16 {
                topology.restart();
            }
        }
        topology.tick(END_MS);
        topology.drain();
        let (ids, store) = (SchemaIds::identity(), MemorySnapshots::new());
        let setting = Setting { transport: &topology.log, store: &store, namespace: "", ids: &ids };
        let (ingest, profile) = factories(PARTITIONS);
        let stages: [Arc<dyn StageFactory>; 2] = [Arc::new(ingest), Arc::new(profile)];
        for factory in &stages {
            let mut records = 0;
            for partition in 0..PARTITIONS {
                let replayed = replay(&setting, factory, partition, From::Beginning, |_, _| {}).unwrap();
                prop_assert_eq!(&replayed.differences, &[]);
                prop_assert_eq!(replayed.different, 0);
                records += replayed.records;
            }
            prop_assert!(records >= happenings.len() as u64);
        }
        // The same stage with another scorer: scores differ wherever there are any.
        let mut other = ProfileConfig::new(ProfileTopics::of(|name| spec(name, PARTITIONS)));
        other.scorer = Arc::new(Model::load(PROPENSITY).unwrap());
        let other: Arc<dyn StageFactory> = Arc::new(ProfileFactory::new(other));
        for partition in 0..PARTITIONS {
            let replayed = replay(&setting, &other, partition, From::Beginning, |_, _| {}).unwrap();
            let of_scores = replayed.differences.iter().filter(|found| found.output.0 == "scores.propensity").count();
            prop_assert_eq!(replayed.different > 0, of_scores > 0);
            prop_assert_eq!(of_scores > 0, !read(&topology.log, "scores.propensity", partition).is_empty());
        }
    }
}
