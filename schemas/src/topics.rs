//! The topics: how each is partitioned by default and what is in it.

use crate::record::RecordSchema;
use crate::{RECORDS, generated as g};

/// How many partitions a topic has by default; the two counts are configured, and fixed once the topic exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// As many as there are ingest tasks.
    Ingest,
    /// As many as there are profile tasks.
    Profile,
    /// One: its records have one order.
    One,
}

/// What decides a record's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyedBy {
    /// The device, else the user, else the order id, else the event id.
    Device,
    /// The person; records about orders by their order id, events without identity by their event id.
    Person,
    /// The partition of the input record that caused it.
    Input,
    /// There is one partition.
    Nothing,
}

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, without a namespace's prefix.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: Partitions,
    /// What decides a record's partition.
    pub keyed_by: KeyedBy,
    /// Whether only Millstream itself reads it; the others are contracts for subscribers.
    pub internal: bool,
    /// Whether it is compacted: of each key the newest record stays, and a record without value (a tombstone) ends a key. A
    /// subscriber that fills a cache reads it from its beginning; the warehouse reads the topic that it repeats.
    pub compacted: bool,
    /// The topic whose records it repeats; itself for nearly all.
    pub repeats: &'static str,
}

impl Topic {
    /// The records written to it.
    pub fn records(&self) -> impl Iterator<Item = &'static RecordSchema> {
        let name = self.repeats;
        RECORDS.iter().copied().filter(move |record| record.topic == name)
    }
}

/// The latest profile of each person, compacted; a person that is no more ends with a tombstone.
pub const PROFILES_LATEST: &str = "profiles.latest";

/// All topics.
pub const TOPICS: &[Topic] = &[
    topic(g::Collected::TOPIC, Partitions::Ingest, KeyedBy::Device, true),
    topic(g::Event::TOPIC, Partitions::Profile, KeyedBy::Person, false),
    topic(g::Rejected::TOPIC, Partitions::Ingest, KeyedBy::Input, false),
    topic(g::Identity::TOPIC, Partitions::Ingest, KeyedBy::Input, false),
    topic(g::Session::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Order::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::OrderLine::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Refund::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::RefundLine::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Propensity::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::RefundMatch::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Attribution::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Churn::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Clv::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Engagement::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    topic(g::Profile::TOPIC, Partitions::Profile, KeyedBy::Input, false),
    latest(PROFILES_LATEST, g::Profile::TOPIC),
    topic(g::Ledger::TOPIC, Partitions::Ingest, KeyedBy::Input, true),
    topic(g::Control::TOPIC, Partitions::One, KeyedBy::Nothing, true),
    topic(g::ImportProgress::TOPIC, Partitions::One, KeyedBy::Nothing, true),
];

const fn topic(name: &'static str, partitions: Partitions, keyed_by: KeyedBy, internal: bool) -> Topic {
    Topic { name, partitions, keyed_by, internal, compacted: false, repeats: name }
}

/// The compacted twin of a topic that profile tasks write.
const fn latest(name: &'static str, repeats: &'static str) -> Topic {
    let partitions = Partitions::Profile;
    Topic { name, partitions, keyed_by: KeyedBy::Input, internal: false, compacted: true, repeats }
}

/// The topic called `name`.
pub fn by_name(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_record_has_its_topic_and_every_topic_a_record() {
        let written: BTreeSet<&str> =
            RECORDS.iter().filter(|record| !record.topic.is_empty()).map(|record| record.topic).collect();
        let own = || TOPICS.iter().filter(|topic| topic.repeats == topic.name);
        let listed: BTreeSet<&str> = own().map(|topic| topic.name).collect();
        assert_eq!(written, listed);
        assert_eq!(listed.len(), own().count());
        let names: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
        assert_eq!(names.len(), TOPICS.len());
    }

    #[test]
    fn a_topic_that_repeats_another_is_compacted_and_has_its_partitions() {
        let repeating: Vec<&Topic> = TOPICS.iter().filter(|topic| topic.repeats != topic.name).collect();
        assert!(!repeating.is_empty());
        for topic in repeating {
            let original = by_name(topic.repeats).unwrap();
            assert!(topic.compacted && !original.compacted, "{topic:?}");
            assert_eq!((topic.partitions, topic.keyed_by), (original.partitions, original.keyed_by));
            let first = |topic: &Topic| topic.records().next().map(|record| record.name);
            assert!(first(topic).is_some() && first(topic) == first(original));
        }
    }
}
