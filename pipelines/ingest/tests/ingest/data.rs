//! Measured on public collections, found through MILLSTREAM_DATA.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use millstream_ingest::classify::bot::{Automation, automation};
use millstream_ingest::classify::channel::Channel;
use millstream_ingest::classify::referrers::{Place, Referrers};
use millstream_ingest::classify::{Agent, Classifier};
use serde_json::Value;

/// The file, or `None` after noting that the test was skipped.
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test's data, not the stage's input")]
fn data(test: &str, file: &str) -> Option<Vec<u8>> {
    let found = std::env::var("MILLSTREAM_DATA").ok().map(|folder| PathBuf::from(folder).join(file));
    match found.and_then(|path| std::fs::read(path).ok()) {
        Some(bytes) => Some(bytes),
        None => {
            let reason = format!("{test}: MILLSTREAM_DATA has no {file}");
            eprintln!("skipped {reason}");
            if let Ok(log) = std::env::var("MILLSTREAM_SKIP_LOG") {
                let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
                writeln!(log, "{reason}").unwrap();
            }
            None
        }
    }
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_referrer_database_covers_the_public_one() {
    let Some(bytes) = data("the_referrer_database_covers_the_public_one", "referers/referers.json") else { return };
    let public: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&bytes).unwrap();
    let ours = Referrers::built_in();
    // Paths that tell a mail reader from a portal are not looked at, and video has a place of its own here.
    let agrees = |medium: &str, place: Place| match medium {
        "search" => place == Place::Search,
        "social" => matches!(place, Place::Social | Place::Video),
        "email" => place == Place::Email,
        _ => place == Place::Referral,
    };
    for (medium, least) in [("search", 0.97), ("social", 0.97), ("email", 0.94), ("unknown", 0.9)] {
        let sources = &public[medium];
        let domains = sources.values().flat_map(|source| source["domains"].as_array().unwrap());
        let domains: Vec<&str> = domains.map(|domain| domain.as_str().unwrap()).collect();
        let missed: Vec<&&str> =
            domains.iter().filter(|domain| !agrees(medium, ours.place(domain.split('/').next().unwrap()))).collect();
        let share = 1.0 - missed.len() as f64 / domains.len() as f64;
        println!("{medium}: {share:.4} of {} domains; not: {missed:?}", domains.len());
        assert!(share >= least, "{medium}: {share:.4}");
    }
}

#[test]
fn crawlers_are_known_and_dropped_ones_say_so() {
    let Some(bytes) = data("crawlers_are_known_and_dropped_ones_say_so", "user_agents/crawler-user-agents.json") else {
        return;
    };
    let patterns: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let instances: Vec<&str> = patterns
        .iter()
        .flat_map(|pattern| pattern["instances"].as_array().into_iter().flatten())
        .map(|instance| instance.as_str().unwrap())
        .collect();
    let count = |wanted: &dyn Fn(Automation) -> bool| {
        instances.iter().filter(|user_agent| wanted(automation(user_agent))).count() as f64 / instances.len() as f64
    };
    let known = count(&|found| found != Automation::None);
    let declared = count(&|found| found == Automation::Declared);
    println!("of {} crawlers {known:.4} are known, {declared:.4} as declared", instances.len());
    assert!(known >= 0.98 && declared >= 0.86, "{known} {declared}");
}

/// Visitors' devices of the public device tests: (User-Agent, device family).
fn devices(test: &str) -> Option<Vec<(String, String)>> {
    let text = gunzip(&data(test, "user_agents/tests/test_device.yaml.gz")?);
    let mut devices = Vec::new();
    let mut user_agent = None;
    for line in text.lines() {
        let line = line.trim_start_matches([' ', '-']);
        if let Some(value) = line.strip_prefix("user_agent_string:") {
            user_agent = Some(value.trim().trim_matches(['\'', '"']).to_owned());
        } else if let Some(family) = line.strip_prefix("family:")
            && let Some(user_agent) = user_agent.take()
        {
            devices.push((user_agent, family.trim().trim_matches(['\'', '"']).to_owned()));
        }
    }
    assert!(devices.len() > 10_000, "{}", devices.len());
    Some(devices)
}

#[test]
fn visitors_are_not_taken_for_bots() {
    let Some(devices) = devices("visitors_are_not_taken_for_bots") else { return };
    let visitors: Vec<&String> =
        devices.iter().filter(|(_, family)| family != "Spider").map(|(user_agent, _)| user_agent).collect();
    let dropped: Vec<&&String> =
        visitors.iter().filter(|user_agent| automation(user_agent) == Automation::Declared).collect();
    let share = dropped.len() as f64 / visitors.len() as f64;
    println!("of {} visitors {share:.5} would be dropped as declared bots: {dropped:#?}", visitors.len());
    assert!(share <= 0.003, "{share}");
}

#[test]
fn phones_and_tablets_are_told_apart() {
    let Some(devices) = devices("phones_and_tablets_are_told_apart") else { return };
    for (family, class, os, least) in
        [("iPhone", "mobile", "ios", 0.95), ("iPad", "tablet", "ios", 0.95), ("iPod", "mobile", "ios", 0.95)]
    {
        let of_family: Vec<&String> =
            devices.iter().filter(|(_, found)| found == family).map(|(agent, _)| agent).collect();
        let right = of_family
            .iter()
            .filter(|agent| {
                let device = Agent::parse(agent).device;
                (device.class, device.os) == (class, os)
            })
            .count();
        let share = right as f64 / of_family.len() as f64;
        println!("{family}: {share:.4} of {}", of_family.len());
        assert!(share >= least, "{family}: {share}");
    }
}

#[test]
fn a_classifier_that_remembers_says_what_one_that_does_not_would() {
    let Some(devices) = devices("a_classifier_that_remembers_says_what_one_that_does_not_would") else { return };
    let mut classifier = Classifier::new();
    for (user_agent, _) in devices.iter().chain(&devices) {
        assert_eq!(classifier.agent(Some(user_agent)), Agent::parse(user_agent));
    }
    assert_eq!(Channel::None.symbol(), "none");
}
