//! Rows are what they say they are.

use std::collections::BTreeMap;

use millstream_operators::propensity::History;
use millstream_schemas::{Event, Id};
use millstream_scoring::evaluation::{Outcome, evaluate};
use millstream_scoring::{Feature, Features, Heuristic, Model, Scorer, builtin};
use millstream_simulator::{SimConfig, Simulator};

use crate::label::{Gathered, Labelled, Tracker, WEEK_MS};
use crate::make::{MakeError, Plan, labelled, rows};
use crate::rows::{self, Part, Row};
use crate::stages::Stages;

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_780_272_000_000;

/// Events of one source, as (minute, type).
fn label(told: &[(i64, &'static str)], days: i64) -> Vec<Labelled> {
    let mut stages = Stages::new();
    let mut gathered = Gathered::new(Tracker::Full);
    for (number, &(minute, event_type)) in told.iter().enumerate() {
        let id = format!("e{number}");
        let time_ms = START_MS + minute * MINUTE_MS;
        let order = format!("o{minute}");
        let event = Event {
            site: "shop",
            event_id: &id,
            event_type,
            event_time: time_ms,
            received_at: time_ms,
            sequence: Some(number as i64),
            consent: 15,
            source: Some(Id(1)),
            person: Some(Id(2)),
            order_id: Some(&*order).filter(|_| event_type == "purchase"),
            amount_minor: Some(100).filter(|_| event_type == "purchase"),
            currency: Some("EUR").filter(|_| event_type == "purchase"),
            ..Event::default()
        };
        stages.event(&event, &mut gathered);
    }
    gathered.label(START_MS + days * 86_400_000)
}

#[test]
fn a_decision_is_labelled_by_what_follows_it() {
    const DAY: i64 = 24 * 60;
    let told = [
        (0, "page_view"),
        (1, "add_to_cart"),
        (2, "purchase"),
        (3, "page_view"),
        // Another session, and an order more than seven days after the first.
        (5 * DAY, "product_view"),
        (8 * DAY, "page_view"),
        (8 * DAY + 1, "purchase"),
        (15 * DAY + 2, "page_view"),
    ];
    let labels: Vec<(bool, Option<bool>)> =
        label(&told, 20).iter().map(|row| (row.session, row.within_7_days)).collect();
    assert_eq!(
        labels,
        [
            (true, Some(true)),
            (true, Some(true)),
            // The order itself does not follow itself, and nothing does within seven days.
            (false, Some(false)),
            (false, Some(false)),
            (false, Some(true)),
            (true, Some(true)),
            (false, Some(false)),
            // Its seven days are not over.
            (false, None),
        ]
    );
}

#[test]
fn a_late_event_that_changes_the_history_of_a_later_session_is_labelled_as_its_own() {
    const DAY: i64 = 24 * 60;
    let told = [(0, "page_view"), (600, "product_view"), (1, "purchase"), (601, "purchase")];
    let rows = label(&told, 20);
    let of = |time: i64| rows.iter().filter(move |row| row.time_ms == START_MS + time * MINUTE_MS).collect::<Vec<_>>();
    assert_eq!(of(1).len(), 1, "once, for its own session");
    assert!(!of(1)[0].session, "nothing followed in it");
    assert!(of(600)[0].session);
    assert_eq!(of(601)[0].features.get(Feature::PriorOrders), 1.0, "the late order was before this session");
    assert!(rows.iter().all(|row| row.time_ms + WEEK_MS < START_MS + 20 * DAY * MINUTE_MS));
}

/// Against the simulator's own truth: of the sessions that bought, the first decision says that an order follows.
#[test]
fn labels_agree_with_what_the_simulator_knows() {
    let config = SimConfig { people: 150, days: 6, seed: 9_000_100, noise: false, ..SimConfig::default() };
    let mut simulator = Simulator::new(config.clone()).unwrap();
    while simulator.next().is_some() {}
    let truth = simulator.into_truth();
    let bought = truth.sessions.iter().filter(|session| session.bought).count();
    let mut stages = Stages::new();
    let mut gathered = Gathered::new(Tracker::Full);
    for delivery in Simulator::new(config).unwrap() {
        let collected = millstream_schemas::Collected {
            site: "demo",
            origin: "http",
            received_at: delivery.arrives_ms,
            sent_at: Some(delivery.sent_at_ms),
            payload: &delivery.json,
            ..Default::default()
        };
        stages.collect(&collected, &mut gathered);
    }
    let rows = gathered.label(i64::MAX);
    let mut first: BTreeMap<(Id, i64), &Labelled> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.events == 1) {
        first.insert((row.source, row.time_ms), row);
    }
    let labelled = first.values().filter(|row| row.session).count();
    // Those who refuse consent are not seen; nobody buys who did not.
    assert!(labelled > 0 && labelled <= bought, "{labelled} of {bought}");
    assert!(labelled * 10 >= bought * 5, "{labelled} of {bought}");
}

#[test]
fn rows_survive_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut features = Features::default();
    features.set(Feature::DaysSinceOrder, 1.25);
    let kept: Vec<Row> = [Part::Train, Part::Calibrate, Part::Select, Part::Evaluate]
        .into_iter()
        .zip([None, Some(true), Some(false), None])
        .map(|(part, within_7_days)| Row { features, session: within_7_days == Some(true), within_7_days, part })
        .collect();
    let plan = Plan { seeds: vec![], evaluation_seeds: vec![], ..Plan::standard() };
    let (mut description, none) = rows(&plan, |_, _| ()).unwrap();
    assert!(none.is_empty());
    description.rows = kept.len();
    rows::write(folder.path(), &description, &kept).unwrap();
    assert_eq!(rows::read(folder.path()).unwrap(), (description, kept));
    std::fs::write(folder.path().join("part.u8"), [0, 1]).unwrap();
    assert!(rows::read(folder.path()).unwrap_err().to_string().contains("write them anew"));
}

#[test]
fn only_reserved_seeds_are_trained_on_and_none_is_judged_by() {
    let plan = |seeds: &[u64], evaluation_seeds: &[u64]| Plan {
        seeds: seeds.to_vec(),
        evaluation_seeds: evaluation_seeds.to_vec(),
        people: 1,
        days: 1,
    };
    let refused = |plan: Plan| rows(&plan, |_, _| ()).unwrap_err();
    assert!(matches!(refused(plan(&[42], &[])), MakeError::Seed(42)));
    assert!(matches!(refused(plan(&[9_000_001], &[9_000_001])), MakeError::Both(9_000_001)));
}

/// The shipped model on a seed that it was neither trained, calibrated nor judged on.
#[test]
fn the_shipped_model_beats_the_heuristic_and_the_base_rate() {
    let model = Model::load(builtin::PROPENSITY).unwrap();
    let rows = labelled(9_000_990, 1_500, 16, Tracker::Full).unwrap();
    let judge = |p: &dyn Fn(&Features) -> f64| {
        let outcome = |row: &Labelled| Outcome { p: p(&row.features), happened: row.session };
        evaluate(&rows.iter().map(outcome).collect::<Vec<_>>()).unwrap()
    };
    let ours = judge(&|features| model.score(features).p);
    let rules = judge(&|features| Heuristic.score(features).p);
    assert!(ours.auc > rules.auc && ours.log_loss < rules.log_loss, "{ours:?} {rules:?}");
    assert!(ours.average_precision > ours.base_rate && ours.log_loss < ours.base_log_loss, "{ours:?}");
    let blind = judge(&|features| {
        let mut features = *features;
        History::fill(None, 0, &mut features);
        model.score(&features).p
    });
    assert!(blind.auc > rules.auc, "without history, too: {blind:?}");
    let week: Vec<Outcome> = rows
        .iter()
        .filter_map(|row| {
            let p = model.score(&row.features).within_7_days?.p;
            Some(Outcome { p, happened: row.within_7_days? })
        })
        .collect();
    let week = evaluate(&week).unwrap();
    assert!(week.average_precision > week.base_rate && week.log_loss < week.base_log_loss, "{week:?}");
}
