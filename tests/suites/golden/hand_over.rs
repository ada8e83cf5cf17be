//! `millstream replay hand-over`: a rebuilt namespace takes over from the one in use, and every acknowledged event is in it, once.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream_tests::binary::Installation;
use millstream_tests::service::{Service, now_ms};
use serde_json::{Value, json};

fn view(number: usize) -> Value {
    json!({ "id": format!("v{number}"), "type": "page_view", "device": format!("d{}", number % 7), "user": format!("u{}", number % 5),
        "time": now_ms(), "page": { "url": "https://shop.example/" } })
}

/// Runs `millstream replay hand-over …` and returns whether it succeeded, and what it said.
fn hand_over(installation: &Installation, arguments: &[&str]) -> (bool, String) {
    let output = installation.command().args(["replay", "hand-over"]).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What `millstream run` says that must not start.
fn refused(installation: &Installation) -> String {
    let output = installation.command().arg("run").output().unwrap();
    assert!(!output.status.success(), "it runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn verified(installation: &Installation) {
    let output = installation.command().arg("verify").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn hand_over_embedded() {
    let mut installation = Installation::embedded();
    let service = Service::start(&installation, &["run"]);
    service.send(&(0..40).map(view).collect());
    service.wait_for(&installation, "select count(*) from events", "40");
    service.stop();

    let (succeeded, said) = hand_over(&installation, &["--to", "new."]);
    assert!(succeeded && said.contains("both namespaces end in the same current views"), "{said}");
    assert!(refused(&installation).contains("handed over to \"new.\""));
    let (succeeded, said) = hand_over(&installation, &["--to", "another."]);
    assert!(!succeeded && said.contains("handed over to \"new.\""), "{said}");
    verified(&installation);

    installation.set("NAMESPACE", "new.");
    let service = Service::start(&installation, &["run"]);
    service.send(&(30..50).map(view).collect());
    service.wait_for(&installation, "select count(*), count(distinct event_id) from events", "50|50");
    service.stop();
    verified(&installation);

    // The successor is in use: nothing is compared, nothing is opened again.
    installation.set("NAMESPACE", "");
    let (succeeded, said) = hand_over(&installation, &["--to", "new."]);
    assert!(succeeded && said.contains("has taken over before"), "{said}");
    assert!(refused(&installation).contains("handed over to \"new.\""));

    let (succeeded, said) = hand_over(&installation, &["--back"]);
    assert!(succeeded, "{said}");
    let service = Service::start(&installation, &["run"]);
    service.send(&(40..41).map(view).collect());
    service.wait_for(&installation, "select count(*) from events", "41");
    service.stop();
}

#[test]
fn what_differs_is_not_handed_over() {
    let installation = Installation::embedded();
    let service = Service::start(&installation, &["run"]);
    service.send(&json!([view(0)]));
    service.wait_for(&installation, "select count(*) from events", "1");
    // Ticks are transactions of their own, in a copy they are not: its id is its place in the log.
    std::thread::sleep(Duration::from_secs(3));
    service.send(
        &json!([{ "type": "page_view", "device": "d0", "time": now_ms(), "page": { "url": "https://shop.example/" } }]),
    );
    service.wait_for(&installation, "select count(*) from events", "2");
    service.stop();
    let (succeeded, said) = hand_over(&installation, &["--to", "new."]);
    assert!(!succeeded && said.contains("keys have other current rows"), "{said}");
    assert!(said.contains("open again"), "{said}");
    let service = Service::start(&installation, &["run"]);
    service.send(&json!([view(1)]));
    service.wait_for(&installation, "select count(*) from events", "3");
    service.stop();
    verified(&installation);
}

#[test]
fn hand_over_kafka_clickhouse() {
    let Some(mut installation) = Installation::on_servers("hand_over_kafka_clickhouse") else { return };
    let successor = format!("next_{}", installation.topic(""));
    let service = Service::start(&installation, &["run"]);
    let (acknowledged, refused_ids) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let (stopped, closed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (succeeded, said) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..).take_while(|_| !stopped.load(Ordering::Acquire)) {
                let answer = service.post(json!({ "events": [view(number)] }).to_string().as_bytes());
                match answer.status {
                    200 => assert!(acknowledged.lock().unwrap().insert(format!("v{number}"))),
                    503 if answer.reason() == "namespace_closed" => {
                        refused_ids.lock().unwrap().insert(format!("v{number}"));
                        closed.store(true, Ordering::Release);
                    }
                    _ => panic!("{answer:?}"),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        while acknowledged.lock().unwrap().len() < 100 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let handed_over = hand_over(&installation, &["--to", &successor]);
        stopped.store(true, Ordering::Release);
        handed_over
    });
    assert!(succeeded && said.contains("both namespaces end in the same current views"), "{said}\n{}", service.said());
    assert!(closed.into_inner(), "the collector went on:\n{said}");
    service.stop();
    assert!(refused(&installation).contains(&successor));
    verified(&installation);

    installation.set("NAMESPACE", &successor);
    installation.set("CLICKHOUSE__DATABASE", &successor.replace('.', "_"));
    let service = Service::start(&installation, &["run"]);
    service.send(&json!([view(1_000_000)]));
    let acknowledged = acknowledged.into_inner().unwrap();
    let in_table = || installation.query("select event_id from events where event_id <> 'v1000000'");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !acknowledged.is_subset(&in_table().into_iter().collect()) {
        assert!(
            Instant::now() < deadline,
            "not all of {} came: {:?}\n{}",
            acknowledged.len(),
            in_table(),
            service.said()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    service.wait_for(&installation, "select count(*) from events where event_id = 'v1000000'", "1");
    service.stop();
    verified(&installation);
    let rows = in_table();
    let ids: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), ids.len(), "none twice");
    // One that was being taken in when the collector heard of the closing is refused, and may be there: it is to be sent again.
    let refused_ids = refused_ids.into_inner().unwrap();
    let strange: Vec<&String> = ids.difference(&acknowledged).filter(|id| !refused_ids.contains(*id)).collect();
    assert!(strange.is_empty(), "neither acknowledged nor refused: {strange:?}");
}
