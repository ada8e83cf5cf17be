//! A store that is unwell: every call ends in bounded time, with what to do, and without secrets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millstream_object_store::{ObjectSettings, ObjectSnapshots};
use millstream_runtime::snapshot::{SnapshotStore, StoreError};

use crate::support;

/// What the listener does with a request.
#[derive(Clone, Copy)]
enum Answer {
    /// This status, with this body.
    Status(u16, &'static str),
    /// None at all.
    Silence,
    /// A success for everything, whatever the conditions.
    Heedless,
}

/// A listener that answers every request in the same way, and counts them.
struct Unwell {
    address: String,
    requests: Arc<AtomicU32>,
}

impl Unwell {
    fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&requests);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(&stream, answer, &counted));
            }
        });
        Self { address, requests }
    }

    fn store(&self) -> ObjectSnapshots {
        let settings = ObjectSettings {
            endpoint: self.address.clone(),
            region: "us-east-1".to_owned(),
            access_key_id: "the-access-key".to_owned(),
            secret_access_key: "the-secret-key".to_owned(),
            allow_http: true,
            timeout_ms: 700,
            retries: 2,
            ..ObjectSettings::new("s3://bucket/prefix")
        };
        ObjectSnapshots::new(&settings).unwrap()
    }
}

fn serve(stream: &TcpStream, answer: Answer, counted: &AtomicU32) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some((method, length)) = head(&mut reader) {
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).unwrap();
        counted.fetch_add(1, Ordering::Relaxed);
        let (status, body) = match answer {
            Answer::Status(status, body) => (status, body),
            Answer::Heedless if method == "GET" => (200, ""),
            Answer::Heedless => (200, "x"),
            Answer::Silence => {
                std::thread::sleep(Duration::from_secs(60));
                return;
            }
        };
        let text = format!("HTTP/1.1 {status} Told\r\nETag: \"x\"\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// Method and body length of the next request.
fn head(reader: &mut impl BufRead) -> Option<(String, u64)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let method = line.split(' ').next()?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            return Some((method, length));
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
}

fn said(outcome: Result<impl std::fmt::Debug, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unavailable(why)) => {
            assert!(!why.contains("the-secret-key") && !why.contains("the-access-key"), "{why}");
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_overloaded_store_is_asked_a_few_times_and_no_more() {
    let unwell = Unwell::new(Answer::Status(503, "<Error><Code>SlowDown</Code></Error>"));
    let store = unwell.store();
    let why = said(store.put_new("a", b"1"));
    assert!(why.contains("s3://bucket/prefix") && why.contains("503"), "{why}");
    assert_eq!(unwell.requests.load(Ordering::Relaxed), 3, "one try and two more");
    said(store.get("a"));
    said(store.list("a"));
    said(store.delete("a"));
}

#[test]
fn a_silent_store_holds_nobody_for_ever() {
    let store = Unwell::new(Answer::Silence).store();
    let started = Instant::now();
    said(store.put_new("a", b"1"));
    said(store.get("a"));
    // Their limits are 0.7 s a try, three tries and the waits between them; only that there is an end is tested.
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = Unwell { address: address.clone(), requests: Arc::default() }.store();
    assert!(said(store.get("a")).contains(&address));
}

#[test]
fn refused_credentials_are_told_without_the_stores_words() {
    let body = "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>the-access-key</AWSAccessKeyId></Error>";
    // Whatever the status: the store's words may hold the access key.
    let unusual = said(Unwell::new(Answer::Status(400, body)).store().list("a"));
    assert!(unusual.contains("SignatureDoesNotMatch"), "{unusual}");
    for status in [401, 403] {
        let store = Unwell::new(Answer::Status(status, body)).store();
        for why in [said(store.put_new("a", b"1")), said(store.get("a")), said(store.list("a"))] {
            assert!(why.contains("credentials") && why.contains("secret_access_key"), "{why}");
        }
        assert!(!format!("{store:?}").contains("the-"), "{store:?}");
    }
}

#[test]
fn a_conflict_is_no_answer_and_a_failed_condition_is_one() {
    let conflict = "<Error><Code>ConditionalRequestConflict</Code></Error>";
    said(Unwell::new(Answer::Status(409, conflict)).store().put_new("a", b"1"));
    let failed = Unwell::new(Answer::Status(412, "<Error><Code>PreconditionFailed</Code></Error>")).store();
    assert_eq!(failed.put_new("a", b"1"), Err(StoreError::Exists("a".to_owned())));
}

#[test]
fn a_bucket_that_is_not_there_is_no_missing_object() {
    let store = Unwell::new(Answer::Status(404, "<Error><Code>NoSuchBucket</Code></Error>")).store();
    for why in [said(store.get("a")), said(store.list("a")), said(store.put_new("a", b"1"))] {
        assert!(why.contains("no such bucket"), "{why}");
    }
    let store = Unwell::new(Answer::Status(404, "<Error><Code>NoSuchKey</Code></Error>")).store();
    assert_eq!(store.get("a"), Err(StoreError::Missing("a".to_owned())));
}

#[test]
fn a_store_that_ignores_the_condition_does_not_pass_the_check() {
    let store = Unwell::new(Answer::Heedless).store();
    assert_eq!(store.put_new("a", b"1"), Ok(()));
    said(store.check("one"));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let Some(store) = support::store("a_name_that_is_none_is_refused") else { return };
    for name in ["../other", "a//b", "a/", ""] {
        said(store.put_new(name, b"1"));
    }
    store.put_new("a", b"1").unwrap();
    assert_eq!(store.list("").unwrap(), ["a"]);
}
