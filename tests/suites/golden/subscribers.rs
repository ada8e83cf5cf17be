//! The example subscribers as a test of the contract: Python, committed records, killed and started again, against the warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use millstream_tests::binary::{Installation, checkout};
use millstream_tests::service::Service;
use millstream_tests::skip::need;
use serde_json::Value;

use crate::registry::python;
use crate::{data, mapping};

/// A subscriber on the installation's topics, its state in the installation's folder, its schemas from the collector at `url`.
fn subscriber(python: &str, program: &str, installation: &Installation, brokers: &str, url: &str) -> Command {
    let mut command = Command::new(python);
    command
        .arg(checkout().join("examples/subscribers").join(program))
        .args(["--brokers", brokers, "--registry", url, "--until-end"])
        .arg("--prefix")
        .arg(installation.topic(""))
        .arg("--state")
        .arg(installation.folder().join(program).with_extension("sqlite"))
        .stdout(Stdio::piped());
    command
}

/// The lines of a run to the end.
fn lines(command: &mut Command) -> Vec<Value> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Kills it after so many lines; these lines.
fn killed_after(command: &mut Command, count: usize) -> Vec<Value> {
    let mut child = command.spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
    let told = told.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

#[test]
fn coupons_follow_the_scores_through_a_kill() {
    let test = "coupons_follow_the_scores_through_a_kill";
    let (Some(brokers), Some(installation)) = (need(test, "KAFKA_BROKERS"), Installation::on_servers(test)) else {
        return;
    };
    let (Some(python), Some(file)) = (python(test), data(test, "rees46_sample/2019-Oct_first17434.csv.gz")) else {
        return;
    };
    installation.import(&mapping("rees46.toml"), &[file]);
    let collector = Service::start(&installation, &["collect"]);
    let run = || {
        let mut command = subscriber(&python, "pricing.py", &installation, &brokers, &collector.url);
        command.args(["--low", "0.03", "--high", "0.9", "--fallback-too"]);
        command
    };
    let mut decisions = killed_after(&mut run(), 100);
    assert_eq!(decisions.len(), 100);
    decisions.extend(lines(&mut run()));
    assert!(lines(&mut run()).is_empty(), "nothing is left to be said");
    collector.stop();
    let mut last: BTreeMap<String, bool> = BTreeMap::new();
    for decision in &decisions {
        last.insert(decision["session"].as_str().unwrap().to_owned(), decision["coupon"].as_bool().unwrap());
    }
    let offered: BTreeSet<String> = last.into_iter().filter(|(_, coupon)| *coupon).map(|(key, _)| key).collect();
    let sql = "select site, session_id from scores_propensity_current where not is_bot and p_purchase >= 0.03 and p_purchase <= 0.9";
    let wanted: BTreeSet<String> = installation.query(sql).iter().map(|row| row.replace('|', "/")).collect();
    assert!(wanted.len() > 100, "{} sessions", wanted.len());
    assert_eq!(offered, wanted);
}

/// Webhooks taken: idempotency key and body.
type Taken = Arc<Mutex<Vec<(String, Value)>>>;

/// Takes webhooks until the process ends; its address, and what they were.
fn receiver() -> (String, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let got = Taken::default();
    let keep = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut key, mut length, mut signed) = (String::new(), 0, false);
            for line in stream.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
                match name.to_ascii_lowercase().as_str() {
                    "idempotency-key" => value.clone_into(&mut key),
                    "content-length" => length = value.parse().unwrap(),
                    "millstream-signature" => signed = value.starts_with("t=") && value.contains(",v1="),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            assert!(signed, "a webhook without a signature");
            keep.lock().unwrap().push((key, serde_json::from_slice(&body).unwrap()));
            stream.into_inner().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (url, got)
}

#[test]
fn alerts_are_raised_for_whom_the_tables_say() {
    let test = "alerts_are_raised_for_whom_the_tables_say";
    let (Some(brokers), Some(installation)) = (need(test, "KAFKA_BROKERS"), Installation::on_servers(test)) else {
        return;
    };
    let site = "[[sites]]\nname = \"cdnow\"\nwrite_keys = [\"unused-key\"]\n[sites.settings]\ncurrency = \"USD\"\n";
    let installation = installation.with_config_text(site);
    let (Some(python), Some(file)) = (python(test), data(test, "cdnow/CDNOW_sample.txt")) else { return };
    installation.import(&mapping("cdnow.toml"), &[file]);
    let collector = Service::start(&installation, &["collect"]);
    let (url, got) = receiver();
    let run = || {
        let mut command = subscriber(&python, "alerting.py", &installation, &brokers, &collector.url);
        command.args(["--url", &url, "--worth", "high,medium", "--risk", "cooling,at_risk,lost"]);
        command.env("ALERT_SECRET", "a secret of sixteen bytes");
        command
    };
    lines(&mut run());
    let first = got.lock().unwrap().len();
    lines(&mut run());
    collector.stop();
    let got = got.lock().unwrap();
    assert_eq!(got.len(), first, "a second run has nothing to say");
    let keys: BTreeSet<&str> = got.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys.len(), got.len(), "every message has its own key");
    let mut state: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, message) in got.iter() {
        let (customer, now) = (message["customer"].as_str().unwrap(), message["state"].as_str().unwrap());
        assert_ne!(state.insert(customer, now), Some(now), "raised or cleared twice: {message}");
    }
    let raised: BTreeSet<String> =
        state.into_iter().filter(|(_, now)| *now == "raised").map(|(customer, _)| customer.to_owned()).collect();
    let sql = "select c.site, c.person from scores_churn_current c join clv_current v on v.site = c.site and v.person = c.person \
               where c.tier in ('cooling', 'at_risk', 'lost') and v.tier in ('high', 'medium')";
    let wanted: BTreeSet<String> = installation.query(sql).iter().map(|row| row.replace('|', "/")).collect();
    assert!(!wanted.is_empty(), "nobody is worth an alert: the test shows nothing");
    assert_eq!(raised, wanted);
}
