//! What a simulation promises: the same bytes everywhere, input that the catalogue accepts or refuses as told, and a truth that holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::input::{parse_batch, parse_event};
use millstream_simulator::{Channel, Delivery, GroundTruth, SimConfig, Simulator, write_requests};

fn play(config: SimConfig) -> (Vec<Delivery>, GroundTruth) {
    let mut simulator = Simulator::new(config).unwrap();
    let deliveries: Vec<Delivery> = simulator.by_ref().collect();
    (deliveries, simulator.into_truth())
}

fn config() -> SimConfig {
    SimConfig { people: 1_500, days: 10, seed: 42, ..SimConfig::default() }
}

/// FNV-1a over everything that is delivered.
fn digest(deliveries: &[Delivery]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for delivery in deliveries {
        let times = [delivery.arrives_ms.to_be_bytes(), delivery.sent_at_ms.to_be_bytes()].concat();
        for byte in times.iter().chain(&delivery.json) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[test]
fn a_seed_is_a_simulation_on_every_machine() {
    let small = |seed| SimConfig { people: 60, days: 3, seed, ..SimConfig::default() };
    let (first, truth) = play(small(7));
    assert_eq!((&first, &truth), (&play(small(7)).0, &play(small(7)).1));
    assert_ne!(digest(&first), digest(&play(small(8)).0));
    // Changes with every change of the simulator, and must not change with the machine.
    assert_eq!((first.len(), digest(&first)), (976, 11_162_430_794_786_170_671));
}

#[test]
fn deliveries_come_in_order_of_arrival_and_never_before_they_happened() {
    let (deliveries, _) = play(config());
    assert!(deliveries.is_sorted_by_key(|delivery| delivery.arrives_ms));
    let config = config();
    assert!(deliveries.iter().all(|delivery| delivery.arrives_ms >= config.start_ms));
}

#[test]
fn the_catalogue_accepts_what_is_good_and_refuses_what_is_bad_for_the_reason_told() {
    let (deliveries, truth) = play(config());
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    let mut accepted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut robots, mut duplicates) = (BTreeSet::new(), 0);
    for delivery in &deliveries {
        match parse_event(&delivery.json) {
            Err(error) => *refused.entry(error.reason.as_str()).or_default() += 1,
            Ok(event) => {
                let id = event.id.into_owned();
                let robot = event.user_agent.as_deref().is_some_and(|agent| agent.contains("Googlebot"));
                let known = if robot {
                    robots.insert(id)
                } else {
                    accepted.entry(event.event_type.as_str()).or_default().insert(id)
                };
                duplicates += u64::from(!known);
            }
        }
    }
    assert_eq!(refused, truth.totals.bad_input.iter().map(|(reason, count)| (*reason, *count)).collect());
    let counts: BTreeMap<&str, u64> = accepted.iter().map(|(name, ids)| (*name, ids.len() as u64)).collect();
    assert_eq!(counts, truth.totals.events.iter().map(|(name, count)| (*name, *count)).collect());
    assert_eq!((robots.len() as u64, duplicates), (truth.totals.declared_bot_events, truth.totals.duplicates));
    let common = [
        "page_view",
        "page_ping",
        "click",
        "search",
        "product_view",
        "list_view",
        "add_to_cart",
        "checkout_step",
        "purchase",
    ];
    let rare =
        ["remove_from_cart", "refund", "identify", "logout", "consent", "experiment_exposure", "spend", "custom"];
    for event_type in common.iter().chain(&rare) {
        assert!(counts.get(event_type).is_some_and(|count| *count > 0), "no {event_type}");
    }
    assert!(truth.totals.bad_input.len() == 6, "{:?}", truth.totals.bad_input);
}

#[test]
fn disorder_lateness_and_duplicates_are_as_frequent_as_they_should_be() {
    let (deliveries, truth) = play(config());
    let totals = &truth.totals;
    let per_million = |count: u64| count * 1_000_000 / deliveries.len() as u64;
    assert!((45_000..55_000).contains(&per_million(totals.out_of_order)), "{totals:?}");
    assert!((700..1_300).contains(&per_million(totals.late)), "{totals:?}");
    assert!((4_000..6_000).contains(&per_million(totals.duplicates)), "{totals:?}");
    // With the clock corrected as the collector does it, an event is at most 5 seconds or 21 hours from when it arrived.
    let mut corrected = 0;
    for delivery in deliveries.iter().filter(|delivery| delivery.well_formed) {
        let Ok(event) = parse_event(&delivery.json) else { continue };
        let behind_ms = delivery.sent_at_ms - event.time.unwrap();
        assert!((0..20 * 3_600_000 + 70_000).contains(&behind_ms), "{behind_ms}");
        corrected += u64::from((delivery.arrives_ms - delivery.sent_at_ms).abs() > 60_000);
    }
    assert!(corrected > 0, "no wrong clock");
}

/// The chance that a buying session has a higher score than one that does not buy.
fn auc(mut scored: Vec<(u64, bool)>) -> f64 {
    scored.sort_unstable();
    let (mut rank, mut sum, mut buyers) = (0.0, 0.0, 0.0);
    for group in scored.chunk_by(|a, b| a.0 == b.0) {
        let middle = rank + (group.len() as f64 + 1.0) / 2.0;
        let bought = group.iter().filter(|(_, bought)| *bought).count() as f64;
        sum += middle * bought;
        buyers += bought;
        rank += group.len() as f64;
    }
    (sum - buyers * (buyers + 1.0) / 2.0) / (buyers * (rank - buyers))
}

#[test]
fn purchases_can_be_learned_but_not_foretold() {
    let (deliveries, truth) = play(SimConfig { people: 6_000, days: 14, noise: false, ..config() });
    let base = truth.totals.buying_sessions as f64 / truth.totals.sessions as f64;
    assert!((0.02..0.04).contains(&base), "base rate {base}");
    let expected: u64 = truth.sessions.iter().map(|session| session.buys_ppm).sum::<u64>() / 1_000_000;
    assert!(
        expected.abs_diff(truth.totals.buying_sessions) < 4 * expected.isqrt(),
        "{expected} {}",
        truth.totals.buying_sessions
    );
    let known = auc(truth.sessions.iter().map(|session| (session.buys_ppm, session.bought)).collect());
    // What the first five page and product views show, by a score of one line.
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for delivery in &deliveries {
        let event = parse_event(&delivery.json).unwrap();
        let Some(session) = &event.session else { continue };
        let (views, products) = seen.entry(session.to_string()).or_default();
        let kind = event.event_type.as_str();
        if *views < 5 {
            *views += u64::from(matches!(kind, "page_view"));
            *products += u64::from(kind == "product_view") + 3 * u64::from(kind == "add_to_cart");
        }
    }
    let early = auc(truth
        .sessions
        .iter()
        .map(|session| (seen.get(&session.session).map_or(0, |s| s.0 + 2 * s.1), session.bought))
        .collect());
    assert!((0.70..0.90).contains(&known), "AUC of the truth {known}");
    assert!((0.70..0.90).contains(&early), "AUC of early behaviour {early}");
    println!("base rate {base:.4}, AUC of the true chance {known:.3}, of early behaviour {early:.3}");
}

#[test]
fn what_channels_cause_adds_up_and_is_not_what_the_last_click_says() {
    let (_, truth) = play(SimConfig { people: 6_000, days: 14, noise: false, ..config() });
    let sessions: BTreeMap<&str, &str> =
        truth.sessions.iter().map(|session| (session.session.as_str(), session.channel)).collect();
    let (mut caused, mut last): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
    for order in &truth.orders {
        assert_eq!(order.caused_ppm.values().sum::<u64>(), 1_000_000);
        for (channel, ppm) in &order.caused_ppm {
            *caused.entry(channel).or_default() += ppm;
        }
        *last.entry(sessions[order.session.as_str()]).or_default() += 1_000_000;
    }
    assert_eq!(truth.orders.len() as u64, truth.totals.orders);
    assert_eq!(truth.orders.iter().map(|order| order.amount_minor).sum::<i64>(), truth.totals.order_amount_minor);
    // Direct causes nothing and is the last click of many; most would have bought without any touch.
    assert!(!caused.contains_key(Channel::Direct.name()) && last[Channel::Direct.name()] > 0);
    assert!(last["display"] > 2 * caused["display"], "{last:?} {caused:?}");
}

#[test]
fn requests_hold_every_delivery_in_order() {
    let (deliveries, _) = play(SimConfig { people: 200, days: 3, ..config() });
    let mut requests = Vec::new();
    let count = write_requests::<()>(deliveries.iter().cloned(), 50, |request| {
        requests.push(request);
        Ok(())
    });
    assert_eq!(count, Ok(deliveries.len() as u64));
    assert!(requests.len() < deliveries.len() / 2, "{} requests", requests.len());
    let mut left = deliveries.iter();
    for request in &requests {
        assert!(request.events <= 50 && !request.body.contains(&b'\n'));
        let own: Vec<&Delivery> = left.by_ref().take(request.events).collect();
        if own.iter().all(|delivery| delivery.well_formed) {
            let batch = parse_batch(&request.body, 50).unwrap();
            assert_eq!(batch.events.len(), request.events);
            for (event, delivery) in batch.events.iter().zip(&own) {
                assert_eq!(*event, &delivery.json[..]);
            }
            let sent_at = batch.sent_at.unwrap();
            assert!(own.iter().all(|delivery| (sent_at - delivery.sent_at_ms).abs() <= 34_000));
        } else {
            assert_eq!(request.events, 1);
        }
    }
    assert!(left.next().is_none());
}

#[test]
fn events_can_be_filled_up_to_one_size() {
    let sizes = |pad_to_bytes| {
        let (deliveries, _) = play(SimConfig { people: 200, days: 2, noise: false, pad_to_bytes, ..config() });
        let mut sizes: Vec<usize> = deliveries.iter().map(|delivery| delivery.json.len()).collect();
        sizes.sort_unstable();
        sizes
    };
    let (natural, padded) = (sizes(0), sizes(900));
    println!("median event: {} bytes", natural[natural.len() / 2]);
    assert!(padded.iter().filter(|size| **size == 900).count() > padded.len() * 8 / 10);
}

#[test]
fn a_large_shop_is_played_lazily() {
    let mut simulator =
        Simulator::new(SimConfig { people: 100_000, days: 3_000, keep_truth: false, ..config() }).unwrap();
    assert_eq!(simulator.by_ref().take(20_000).count(), 20_000);
    let truth = simulator.truth();
    // Only what had to be was played: not much more than was taken.
    assert!(truth.totals.events.values().sum::<u64>() < 40_000 && truth.sessions.is_empty());
}

#[test]
fn what_cannot_be_played_is_refused() {
    for config in [
        SimConfig { people: 0, ..config() },
        SimConfig { days: 0, ..config() },
        SimConfig { start_ms: 5, ..config() },
        SimConfig { pad_to_bytes: 1 << 20, ..config() },
    ] {
        let told = Simulator::new(config).unwrap_err().to_string();
        assert!(told.contains(" is "), "{told}");
    }
}
