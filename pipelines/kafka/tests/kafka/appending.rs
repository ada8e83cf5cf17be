//! Acknowledged appends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use millstream_kafka::KafkaTransport;
use millstream_transports::{Append, Transport, TransportError};

use crate::support::{PATIENCE, append, config, contents, topic, transport};

#[test]
fn a_unit_is_acknowledged_once_when_all_of_it_is_durable() {
    let Some(kafka) = transport("a_unit_is_acknowledged_once_when_all_of_it_is_durable") else { return };
    let output = topic(&kafka, "collected", 2);
    let appender = kafka.appender(vec![output.clone()]).expect("an appender");
    let (sender, receiver) = mpsc::channel();
    let calls = Arc::new(AtomicUsize::new(0));
    for unit in 0..200 {
        let value = format!("{unit}");
        let records: Vec<Append<'_>> = (0..3).map(|n| append(n % 2, "device", &value)).collect();
        let (sender, calls) = (sender.clone(), Arc::clone(&calls));
        appender
            .append(
                &records,
                Box::new(move |result| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    sender.send(result.map_err(|error| error.to_string())).expect("the test listens");
                }),
            )
            .expect("queued");
    }
    for _ in 0..200 {
        assert_eq!(receiver.recv_timeout(PATIENCE).expect("an acknowledgement"), Ok(()));
    }
    assert_eq!(appender.queued_bytes(), 0);
    assert_eq!(contents(&kafka, &output, 0).len() + contents(&kafka, &output, 1).len(), 600);
    drop(appender);
    assert_eq!(calls.load(Ordering::Relaxed), 200);
}

#[test]
fn a_full_queue_refuses_whole_units_at_once() {
    let Some(mut config) = config("a_full_queue_refuses_whole_units_at_once") else { return };
    config.append_queue_bytes = 64 * 1024;
    // Nothing leaves the queue while the test fills it.
    config.extra.insert("linger.ms".to_owned(), "3000".to_owned());
    let kafka = KafkaTransport::new(config).expect("a transport");
    let output = topic(&kafka, "collected", 1);
    let appender = kafka.appender(vec![output.clone()]).expect("an appender");
    let value = "x".repeat(1_000);
    let unit = [append(0, "k", &value), append(0, "k", &value)];
    let (sender, receiver) = mpsc::channel();
    let mut accepted = 0;
    let refusal = loop {
        let sender = sender.clone();
        match appender.append(&unit, Box::new(move |result| sender.send(result.is_ok()).expect("the test listens"))) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "the bound is not kept");
    };
    assert!(
        matches!(refusal, TransportError::QueueFull { queued_bytes } if queued_bytes > 60_000 && queued_bytes <= 65_536),
        "{refusal}"
    );
    assert!(accepted >= 28, "{accepted}");
    for _ in 0..accepted {
        assert!(receiver.recv_timeout(PATIENCE).expect("an acknowledgement"));
    }
    assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err(), "the refused unit must not be acknowledged");
    assert_eq!(contents(&kafka, &output, 0).len(), accepted * 2);
}

#[test]
fn what_cannot_be_written_says_so() {
    let Some(kafka) = transport("what_cannot_be_written_says_so") else { return };
    let output = topic(&kafka, "collected", 1);
    let appender = kafka.appender(vec![output]).expect("an appender");
    let big = "x".repeat(2_000_000);
    let error = appender.append(&[append(0, "k", &big)], Box::new(|_| panic!("refused"))).expect_err("too large");
    assert!(matches!(error, TransportError::TooLarge { size_bytes: 2_000_001, .. }), "{error}");
    let (sender, receiver) = mpsc::channel();
    appender
        .append(&[append(7, "k", "v")], Box::new(move |result| sender.send(result.is_err()).expect("the test listens")))
        .expect("queued");
    assert!(receiver.recv_timeout(PATIENCE).expect("an answer"), "there is no partition 7");
    let (sender, receiver) = mpsc::channel();
    appender
        .append(&[], Box::new(move |result| sender.send(result.is_ok()).expect("the test listens")))
        .expect("nothing to do");
    assert!(receiver.recv_timeout(PATIENCE).expect("an answer"));
    assert_eq!(appender.queued_bytes(), 0);
}
