//! The broker is killed under load. It is a broker of the test's own, made with `scripts/dev-kafka`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_transports::{CommitOutcome, Transport, TransportError};

use crate::support::{PATIENCE, append, at, commit_of, contents, join, topic, unique, variable};

struct OwnBroker {
    data: PathBuf,
    address: String,
}

impl OwnBroker {
    fn start(data: &Path) -> Self {
        let output = script(&["start", "--data", &data.to_string_lossy()]);
        let address =
            output.lines().find_map(|line| line.strip_prefix("KAFKA_BROKERS=")).expect("an address").to_owned();
        Self { data: data.to_owned(), address }
    }

    fn kill_and_restart(&self) {
        let data = self.data.to_string_lossy();
        script(&["kill", "--data", &data]);
        script(&["start", "--data", &data]);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        script(&["stop", "--data", &self.data.to_string_lossy()]);
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn script(arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/dev-kafka");
    let output = Command::new(path).args(arguments).output().expect("the script runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    // Set by `scripts/with-servers`: where it is, a broker of our own can be had, too.
    if variable("a_killed_broker_loses_and_doubles_nothing", "MILLSTREAM_KAFKA_DEV_DATA").is_none() {
        return;
    }
    let broker = OwnBroker::start(&std::env::temp_dir().join(unique("millstream-crash")));
    let mut config = KafkaConfig::new(&broker.address);
    config.development = true;
    let kafka = KafkaTransport::new(config).expect("a transport");
    let (input, output) = (topic(&kafka, "input", 1), topic(&kafka, "output", 1));
    let appender = kafka.appender(vec![input.clone()]).expect("an appender");
    let group = unique("group");
    let rejoin = || join(&kafka, &group, "one", &[&input], &[&output]);
    let mut member = rejoin();
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();

    let mut sent = 0;
    let mut copied = 0;
    let mut feed = |count: usize| {
        for _ in 0..count {
            let value = format!("{sent:06}");
            let (told, id) = (Arc::clone(&acknowledged), value.clone());
            let done = move |result: Result<(), TransportError>| {
                if result.is_ok() {
                    told.lock().expect("not poisoned").insert(id);
                }
            };
            appender.append(&[append(0, "k", &value)], Box::new(done)).expect("room in the queue");
            sent += 1;
        }
    };
    for round in 0..3 {
        feed(2_000);
        // Some copied, some on their way.
        let deadline = Instant::now() + PATIENCE;
        while copied < round * 2_000 + 500 {
            copied += copy_once(&mut member, &rejoin);
            assert!(Instant::now() < deadline, "nothing to copy in round {round}");
        }
        feed(2_000);
        broker.kill_and_restart();
    }
    feed(100);
    let deadline = Instant::now() + PATIENCE;
    while appender.queued_bytes() > 0 {
        assert!(Instant::now() < deadline, "{} bytes are still queued", appender.queued_bytes());
        std::thread::sleep(Duration::from_millis(50));
    }
    let deadline = Instant::now() + PATIENCE;
    while !(member.owned.contains(&at(0, 0)) && member.member.at_end(at(0, 0)).unwrap_or(false)) {
        copy_once(&mut member, &rejoin);
        assert!(Instant::now() < deadline, "the input was not read to its end");
    }
    let written = contents(&kafka, &input, 0);
    let present: BTreeSet<String> = written.iter().cloned().collect();
    let lost: Vec<_> = acknowledged.lock().expect("not poisoned").difference(&present).cloned().collect();
    assert_eq!(lost, Vec::<String>::new(), "acknowledged and gone");
    assert!(present.len() > 6_000, "{} records got through", present.len());
    assert_eq!(written.len(), present.len(), "idempotent: nothing is written twice");
    assert_eq!(contents(&kafka, &output, 0), written, "copied once each, in order");
}

/// Copies what one poll brings in one transaction; what fails is done again. Returns how many records were committed.
fn copy_once(member: &mut crate::support::Driven, rejoin: &dyn Fn() -> crate::support::Driven) -> usize {
    match member.step() {
        Ok(()) => {}
        Err(TransportError::Unavailable(_)) => return 0,
        // Its own join, whose answer died with the broker, was counted as another member of its name. A worker joins anew, too.
        Err(TransportError::Fenced(_)) => {
            *member = rejoin();
            return 0;
        }
        Err(error) => panic!("{error}"),
    }
    let records = std::mem::take(&mut member.records);
    let Some((partition, last, _)) = records.last().cloned() else { return 0 };
    let sent = records.iter().try_for_each(|(_, _, value)| member.member.send(append(0, "k", value)));
    let outcome = match sent {
        Ok(()) => member.member.commit(&[commit_of(partition, last + 1)]),
        Err(error) => {
            let _ = member.member.abort();
            CommitOutcome::Aborted(error.to_string())
        }
    };
    match outcome {
        CommitOutcome::Committed => return records.len(),
        CommitOutcome::Unknown(_) => {
            patiently(|| member.member.settle());
        }
        // A revocation comes with the next poll, and the new assignment starts at the committed offset.
        CommitOutcome::Aborted(_) | CommitOutcome::Fenced(_) => {}
    }
    if member.owned.contains(&partition) {
        let committed = patiently(|| member.member.committed(partition));
        patiently(|| member.member.seek(partition, committed.as_ref().map_or(0, |committed| committed.offset)));
        let took_place = committed.is_some_and(|committed| committed.offset > last);
        return if took_place { records.len() } else { 0 };
    }
    0
}

fn patiently<T>(mut ask: impl FnMut() -> Result<T, TransportError>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
