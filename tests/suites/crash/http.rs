//! The collector under load and SIGKILL: what was acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_tests::binary::Installation;
use millstream_tests::crash::seeded::Seeded;
use millstream_tests::service::Service;
use serde_json::{Value, json};

use crate::my_turn;

/// Events of one request.
const EVENTS: usize = 25;
/// One event in so many is wrong, and has to be found among the rejected ones.
const WRONG_ONE_IN: usize = 10;
/// Devices that send.
const DEVICES: usize = 40;
/// How often the service is killed.
const KILLS: usize = 3;
/// For conditions that come true soon unless something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a client knows: its independent list.
#[derive(Debug, Default)]
struct Client {
    /// Events whose acceptance was read by the client.
    acknowledged: BTreeSet<String>,
    /// Sent, but the answer never came: they may or may not be in the log.
    unanswered: BTreeSet<String>,
    next: usize,
}

fn event(number: usize) -> Value {
    let mut event = json!({"id": id(number), "type": "page_view", "device": format!("d{}", number % DEVICES),
        "page": {"url": format!("https://shop.example/p/{number}")}});
    if is_wrong(number) {
        event["type"] = json!("no_such_event");
    } else if number.is_multiple_of(7) {
        event["type"] = json!("purchase");
        event["order"] = json!({"id": format!("o{number}"), "amount": "12.50", "currency": "EUR"});
    }
    event
}

fn id(number: usize) -> String {
    format!("e{number:06}")
}

fn is_wrong(number: usize) -> bool {
    number % WRONG_ONE_IN == 3
}

/// Sends one request; false where no answer came.
fn send(agent: &ureq::Agent, url: &str, events: &[Value], client: &Mutex<Client>) -> bool {
    let body = json!({ "events": events }).to_string();
    let request = agent.post(format!("{url}/v1/events")).header("authorization", "Bearer demo-write-key");
    let ids = || events.iter().map(|event| event["id"].as_str().unwrap().to_owned());
    let answer = request.send(body).ok().and_then(|mut response| {
        let text = response.body_mut().read_to_string().ok()?;
        (response.status() == 200).then(|| serde_json::from_str::<Value>(&text).ok()).flatten()
    });
    let mut client = client.lock().unwrap();
    let Some(answer) = answer else {
        let unanswered: Vec<String> = ids().filter(|id| !client.acknowledged.contains(id)).collect();
        client.unanswered.extend(unanswered);
        return false;
    };
    for status in answer["events"].as_array().unwrap() {
        assert_eq!(status["status"], "accepted", "{answer}");
        let id = status["id"].as_str().unwrap().to_owned();
        client.unanswered.remove(&id);
        client.acknowledged.insert(id);
    }
    true
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// Sends until no answer comes.
fn load(url: String, client: Arc<Mutex<Client>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let agent = agent();
        loop {
            let first = {
                let mut client = client.lock().unwrap();
                client.next += EVENTS;
                client.next - EVENTS
            };
            let events: Vec<Value> = (first..first + EVENTS).map(event).collect();
            if !send(&agent, &url, &events, &client) {
                return;
            }
        }
    })
}

#[test]
fn what_the_collector_acknowledged_survives_kills_under_load() {
    let _turn = my_turn();
    let installation = Installation::embedded();
    let client = Arc::new(Mutex::new(Client::default()));
    let mut points = Seeded(0x51ED_270B);
    for _ in 0..KILLS {
        let service = Service::start(&installation, &["run"]);
        let senders: Vec<_> = (0..2).map(|_| load(service.url.clone(), Arc::clone(&client))).collect();
        let goal = client.lock().unwrap().acknowledged.len() + usize::try_from(points.between(200, 2_000)).unwrap();
        let started = Instant::now();
        while client.lock().unwrap().acknowledged.len() < goal {
            assert!(started.elapsed() < PATIENCE, "too few are acknowledged:\n{}", service.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(service); // SIGKILL, with both senders in the middle of a request
        for sender in senders {
            sender.join().unwrap();
        }
    }
    let unanswered: Vec<String> = client.lock().unwrap().unanswered.iter().cloned().collect();
    assert!(!unanswered.is_empty(), "every request was answered: nothing was killed in the middle");

    // What had no answer is sent again, as a client does.
    let service = Service::start(&installation, &["run"]);
    let again: Vec<Value> = unanswered.iter().map(|id| event(id[1..].parse().unwrap())).collect();
    let again_wrong: BTreeSet<String> =
        unanswered.iter().filter(|id| is_wrong(id[1..].parse().unwrap())).cloned().collect();
    for events in again.chunks(EVENTS) {
        assert!(send(&agent(), &service.url, events, &client));
    }
    let acknowledged = client.lock().unwrap().acknowledged.clone();
    let (wrong, right): (Vec<&String>, Vec<&String>) =
        acknowledged.iter().partition(|id| is_wrong(id[1..].parse().unwrap()));
    service.wait_for(&installation, "select count(distinct event_id) as n from events", &right.len().to_string());
    service.wait_for(
        &installation,
        "select count(distinct event_id) as n from events_rejected",
        &wrong.len().to_string(),
    );
    service.stop();

    // Exactly once; only a wrong event that was sent twice, because its first answer was lost, may be rejected twice.
    let times = |sql: &str| -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for row in installation.query(sql) {
            *times.entry(row).or_default() += 1;
        }
        times
    };
    let payload = |id: &String| event(id[1..].parse().unwrap())["page"]["url"].as_str().unwrap().to_owned();
    let urls = times("select page_url as url from events");
    assert_eq!(urls, right.iter().map(|id| (payload(id), 1)).collect::<BTreeMap<_, _>>());
    let rejected = times("select event_id as id from events_rejected");
    assert_eq!(rejected.len(), wrong.len());
    let often: Vec<_> = rejected.iter().filter(|(_, times)| **times > 1).collect();
    assert!(often.len() <= again_wrong.len(), "rejected more than once: {often:?}, sent twice: {again_wrong:?}");
    let orders = right.iter().filter(|id| event(id[1..].parse().unwrap())["type"] == "purchase").count();
    assert_eq!(installation.query("select count(*) as n from orders_current"), [orders.to_string()]);
}
