//! How long commits take: transactions of 1,000 records of 150 bytes read beside them, against the broker that `KAFKA_BROKERS` names.
//!
//! ```text
//! scripts/with-servers kafka -- cargo run --release -p millstream-kafka --example commit_latency
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_transports::{
    Append, Batch, Change, CommitOutcome, MemberConfig, OffsetCommit, Retention, TopicPartition, TopicSpec, Transport,
};

const RECORDS: usize = 200_000;
const EPOCH_RECORDS: usize = 1_000;
const READ_BYTES: usize = 600;
const WRITTEN_BYTES: usize = 150;
const WARM_UP: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        return Err("KAFKA_BROKERS is not set".into());
    };
    let mut config = KafkaConfig::new(brokers);
    config.development = true;
    let kafka = KafkaTransport::new(config)?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let names = [format!("latency-in.{run}"), format!("latency-out.{run}")];
    let specs = names.clone().map(|name| TopicSpec { name, partitions: 1, retention: Retention::Forever });
    kafka.ensure_topics(&specs)?;
    fill(&kafka, &names[0])?;

    let mut member = kafka.member(MemberConfig {
        group: format!("latency.{run}"),
        instance_id: "one".to_owned(),
        inputs: vec![names[0].clone()],
        outputs: vec![names[1].clone()],
    })?;
    let (mut batch, mut changes) = (Batch::new(), Vec::new());
    let value = [b'y'; WRITTEN_BYTES];
    let (mut commits, mut epochs, mut pending) = (Vec::new(), Vec::new(), 0);
    let mut begun = Instant::now();
    let (mut seen, mut total) = (0, None);
    while seen < RECORDS {
        member.poll(Duration::from_millis(100), &mut batch, &mut changes)?;
        for change in changes.drain(..) {
            if let Change::Assigned(partitions) = change {
                for partition in partitions {
                    member.seek(partition, 0)?;
                }
            }
        }
        for record in batch.iter() {
            total.get_or_insert_with(Instant::now);
            if pending == 0 {
                begun = Instant::now();
            }
            member.send(Append {
                topic: 0,
                partition: 0,
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: &value,
            })?;
            (pending, seen) = (pending + 1, seen + 1);
            if pending == EPOCH_RECORDS {
                let committing = Instant::now();
                let at = TopicPartition { topic: 0, partition: 0 };
                let outcome = member.commit(&[OffsetCommit {
                    partition: at,
                    offset: record.offset + 1,
                    metadata: String::new(),
                }]);
                if outcome != CommitOutcome::Committed {
                    return Err(format!("the commit ended as {outcome:?}").into());
                }
                commits.push(committing.elapsed());
                epochs.push(begun.elapsed());
                pending = 0;
            }
        }
    }
    let took = total.map_or(Duration::ZERO, |total| total.elapsed());
    println!("{RECORDS} records in {:.2} s: {:.0} records/s", took.as_secs_f64(), RECORDS as f64 / took.as_secs_f64());
    report("commit", commits);
    report("epoch (send and commit)", epochs);
    member.close()?;
    Ok(())
}

fn fill(kafka: &KafkaTransport, topic: &str) -> Result<(), Box<dyn Error>> {
    let mut producer = kafka.transactions(&format!("{topic}.fill"), vec![topic.to_owned()])?;
    let value = [b'x'; READ_BYTES];
    for round in 0..RECORDS / 10_000 {
        for record in 0..10_000 {
            let key = format!("person-{}", (round * 10_000 + record) % 5_000);
            producer.send(Append {
                topic: 0,
                partition: 0,
                timestamp_ms: 1_700_000_000_000,
                key: key.as_bytes(),
                value: &value,
            })?;
        }
        match producer.commit() {
            CommitOutcome::Committed => {}
            outcome => return Err(format!("filling ended as {outcome:?}").into()),
        }
    }
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) {
    let mut times: Vec<Duration> = times.drain(WARM_UP.min(times.len())..).collect();
    times.sort_unstable();
    let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p99 {:?}, of {}", at(0.5), at(0.99), times.len());
}
