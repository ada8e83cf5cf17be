//! What the tests share: the broker, names of their own, and a member driven by hand.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_kafka::{GroupProtocol, KafkaConfig, KafkaTransport};
use millstream_transports::{
    Append, Batch, Change, Member, MemberConfig, OffsetCommit, Retention, TopicPartition, TopicSpec, Transport,
    TransportError,
};

/// Longer than any rebalance with the session time-outs used here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The value of a variable, or a skip by name.
pub fn variable(test: &str, name: &str) -> Option<String> {
    if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
        return Some(value);
    }
    skip(test, &format!("{name} is not set"));
    None
}

/// Says that a test cannot run here, and why.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}");
    eprintln!("SKIPPED {line}");
    if let Ok(path) = std::env::var("MILLSTREAM_SKIP_LOG") {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the skip log can be opened");
        file.write_all(format!("{line}\n").as_bytes()).expect("the skip log can be written");
    }
}

/// A configuration for the plain listener with short sessions.
pub fn config(test: &str) -> Option<KafkaConfig> {
    let mut config = KafkaConfig::new(variable(test, "KAFKA_BROKERS")?);
    config.development = true;
    config.session_timeout_ms = 6_000;
    Some(config)
}

/// A transport on the plain listener.
pub fn transport(test: &str) -> Option<KafkaTransport> {
    Some(KafkaTransport::new(config(test)?).expect("a transport"))
}

pub fn with_protocol(mut config: KafkaConfig, protocol: GroupProtocol) -> KafkaTransport {
    config.group_protocol = protocol;
    KafkaTransport::new(config).expect("a transport")
}

/// A name nobody else has.
pub fn unique(stem: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{stem}.{}.{now}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Creates a topic with a name of its own.
pub fn topic(transport: &KafkaTransport, stem: &str, partitions: u32) -> String {
    let name = unique(stem);
    let spec = TopicSpec { name: name.clone(), partitions, retention: Retention::Forever };
    transport.ensure_topics(&[spec]).expect("the topic is created");
    name
}

pub fn append<'a>(partition: u32, key: &'a str, value: &'a str) -> Append<'a> {
    Append { topic: 0, partition, timestamp_ms: 1_700_000_000_000, key: key.as_bytes(), value: value.as_bytes() }
}

/// Puts committed records into a partition.
pub fn fill(transport: &KafkaTransport, topic: &str, partition: u32, values: &[&str]) {
    let mut producer = transport.transactions(&unique("fill"), vec![topic.to_owned()]).expect("a producer");
    for value in values {
        producer.send(append(partition, "k", value)).expect("sent");
    }
    assert_eq!(producer.commit(), millstream_transports::CommitOutcome::Committed);
}

/// Everything committed in a partition, read to its end.
pub fn contents(transport: &KafkaTransport, topic: &str, partition: u32) -> Vec<String> {
    let mut reader = transport.reader(topic, partition, 0).expect("a reader");
    let (mut batch, mut found, deadline) = (Batch::new(), Vec::new(), Instant::now() + PATIENCE);
    loop {
        reader.poll(Duration::from_millis(20), &mut batch).expect("a poll");
        found.extend(batch.iter().map(|record| String::from_utf8_lossy(record.value).into_owned()));
        if batch.is_empty() && reader.at_end().expect("at_end") {
            return found;
        }
        assert!(Instant::now() < deadline, "{topic}[{partition}] was not read to its end; so far {found:?}");
    }
}

/// A member with what the test knows about it.
pub struct Driven {
    pub member: Box<dyn Member>,
    pub owned: BTreeSet<TopicPartition>,
    pub changes: Vec<Change>,
    pub records: Vec<(TopicPartition, u64, String)>,
    batch: Batch,
}

pub fn join(
    transport: &KafkaTransport,
    group: &str,
    instance: &str,
    inputs: &[&String],
    outputs: &[&String],
) -> Driven {
    let own = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect();
    let config = MemberConfig {
        group: group.to_owned(),
        instance_id: instance.to_owned(),
        inputs: own(inputs),
        outputs: own(outputs),
    };
    Driven {
        member: transport.member(config).expect("a member"),
        owned: BTreeSet::new(),
        changes: Vec::new(),
        records: Vec::new(),
        batch: Batch::new(),
    }
}

impl Driven {
    /// One poll; newly assigned partitions are left unsought.
    pub fn poll(&mut self) -> Result<Vec<TopicPartition>, TransportError> {
        let mut changes = Vec::new();
        self.member.poll(Duration::from_millis(20), &mut self.batch, &mut changes)?;
        assert!(changes.is_empty() || self.batch.is_empty(), "changes and records in one poll");
        let mut new = Vec::new();
        for change in &changes {
            match change {
                Change::Assigned(partitions) => {
                    new.extend(partitions);
                    self.owned.extend(partitions);
                }
                Change::Revoked { partitions, .. } => {
                    for partition in partitions {
                        assert!(self.owned.remove(partition), "{partition:?} was not owned");
                        new.retain(|kept| kept != partition);
                    }
                }
            }
        }
        self.changes.extend(changes);
        for record in self.batch.iter() {
            let partition = TopicPartition { topic: record.topic, partition: record.partition };
            assert!(self.owned.contains(&partition), "a record of {partition:?}, which is not owned");
            self.records.push((partition, record.offset, String::from_utf8_lossy(record.value).into_owned()));
        }
        Ok(new)
    }

    /// One poll; newly assigned partitions are sought at their committed offset, else at the start.
    pub fn step(&mut self) -> Result<(), TransportError> {
        for partition in self.poll()? {
            let offset = self.member.committed(partition)?.map_or(0, |committed| committed.offset);
            self.member.seek(partition, offset)?;
        }
        Ok(())
    }

    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            self.step().unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            assert!(
                Instant::now() < deadline,
                "{what} did not come; owned {:?}, records {:?}",
                self.owned,
                self.records
            );
        }
    }

    pub fn values(&self) -> Vec<&str> {
        self.records.iter().map(|(_, _, value)| value.as_str()).collect()
    }

    /// Waits until at_end says so for a partition.
    pub fn drain(&mut self, partition: TopicPartition) {
        let deadline = Instant::now() + PATIENCE;
        while !self.member.at_end(partition).expect("at_end") {
            self.step().expect("a poll");
            assert!(Instant::now() < deadline, "{partition:?} did not end");
        }
    }
}

pub fn at(topic: u16, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition }
}

pub fn commit_of(partition: TopicPartition, offset: u64) -> OffsetCommit {
    OffsetCommit { partition, offset, metadata: String::new() }
}
