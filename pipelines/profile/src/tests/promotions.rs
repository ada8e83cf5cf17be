//! Models come and go by records in the log.

use std::sync::Arc;

use millstream_runtime::{Outputs, Stage};
use millstream_schemas::{Control, Event, Id, Propensity, Rejected, frame};
use millstream_scoring::{Artefact, builtin, content_hash};
use millstream_transports::{Retention, TopicSpec};
use proptest::prelude::*;

use super::world::{Input, framed, record};
use crate::factory::{OUT_PROPENSITY, OUT_REJECTED};
use crate::{MemoryArtefacts, ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};

const KINDS: [&str; 5] = ["page_view", "product_view", "add_to_cart", "checkout_step", "purchase"];

fn stage(artefacts: MemoryArtefacts) -> ProfileStage {
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever });
    let config = ProfileConfig { artefacts: Arc::new(artefacts), ..ProfileConfig::new(topics) };
    ProfileFactory::new(config).stage(0)
}

fn event(site: &str, number: usize) -> Vec<u8> {
    let id = format!("{site}-{number}");
    framed(&Event {
        site,
        event_id: &id,
        event_type: KINDS[number % KINDS.len()],
        event_time: number as i64 * 20_000,
        consent: 15,
        source: Some(Id::of(&[site.as_bytes(), &[number as u8 % 3]])),
        person: Some(Id::of(&[site.as_bytes(), &[number as u8 % 3], b"person"])),
        product_id: Some("p"),
        device_class: "mobile",
        channel: "email",
        ..Event::default()
    })
}

pub fn promotion(number: i64, site: &str, body: &str) -> Vec<u8> {
    framed(&Control { number, kind: "model_promotion", site, effective_at: 0, body })
}

pub fn champion(artefact: u128) -> String {
    format!("{{\"model\":\"propensity\",\"artefact\":\"{artefact:032x}\",\"role\":\"champion\"}}")
}

pub const BACK: &str = "{\"model\":\"heuristic\",\"role\":\"fallback\"}";

fn inputs(values: impl IntoIterator<Item = Vec<u8>>) -> Vec<Input> {
    let number = |(offset, value)| Input { offset, key: Vec::new(), value };
    (0u64..).zip(values).map(number).collect()
}

/// A score: site, model, role, and whether the seven-day head answered.
type Scored = (String, String, String, bool);
/// A rejection: reason and detail.
type Refused = (String, String);

/// What came out.
fn said(out: &Outputs) -> (Vec<Scored>, Vec<Refused>) {
    let (mut scores, mut rejected) = (Vec::new(), Vec::new());
    for output in out.iter() {
        let (_, body) = frame::split(output.value).unwrap();
        match output.topic {
            OUT_PROPENSITY => {
                let row = Propensity::decode(body).unwrap();
                assert!((0.0..=1.0).contains(&row.p_purchase) && row.reasons.len() <= 3);
                assert_eq!(row.p_purchase_7d.is_some(), row.p_7d_raw.is_some());
                let week = row.p_purchase_7d.is_some();
                scores.push((row.site.to_owned(), row.model.to_owned(), row.role.to_owned(), week));
            }
            OUT_REJECTED => {
                let row = Rejected::decode(body).unwrap();
                rejected.push((row.reason.to_owned(), row.detail.to_owned()));
            }
            _ => {}
        }
    }
    (scores, rejected)
}

fn run(stage: &mut ProfileStage, values: impl IntoIterator<Item = Vec<u8>>) -> Outputs {
    let mut out = Outputs::new();
    for input in &inputs(values) {
        stage.on_record(record(0, input), &mut out);
    }
    out
}

/// The models that scored, in order, each run of equal ones once.
fn models(scores: &[Scored]) -> Vec<(&str, &str, &str, bool)> {
    let mut models: Vec<_> =
        scores.iter().map(|(site, model, role, week)| (&**site, &**model, &**role, *week)).collect();
    models.dedup();
    models
}

#[test]
fn a_model_scores_from_its_promotion_on_and_can_be_taken_back() {
    let shipped = champion(content_hash(builtin::PROPENSITY));
    let mut stage = stage(MemoryArtefacts::builtin());
    let values = [
        event("a", 1),
        promotion(5, "", &shipped),
        event("a", 2),
        // A copy of an older number changes nothing.
        promotion(4, "", BACK),
        event("b", 3),
        promotion(6, "b", BACK),
        event("b", 4),
        event("a", 5),
        promotion(7, "", BACK),
        event("a", 6),
    ];
    let (scores, rejected) = said(&run(&mut stage, values));
    assert_eq!(rejected, []);
    assert_eq!(
        models(&scores),
        [
            ("a", "heuristic", "fallback", false),
            ("a", "propensity", "champion", true),
            ("b", "propensity", "champion", true),
            ("b", "heuristic", "fallback", false),
            ("a", "propensity", "champion", true),
            ("a", "heuristic", "fallback", false),
        ]
    );
}

#[test]
fn an_undone_epoch_takes_its_promotion_along() {
    let shipped = champion(content_hash(builtin::PROPENSITY));
    let mut stage = stage(MemoryArtefacts::builtin());
    run(&mut stage, [promotion(1, "", &shipped)]);
    stage.undo_epoch();
    let (scores, _) = said(&run(&mut stage, [event("a", 1)]));
    assert_eq!(models(&scores), [("a", "heuristic", "fallback", false)]);
    stage.undo_epoch();
    // Read again, and kept.
    run(&mut stage, [promotion(1, "", &shipped)]);
    stage.commit_epoch();
    run(&mut stage, [promotion(2, "", BACK)]);
    stage.undo_epoch();
    let (scores, _) = said(&run(&mut stage, [event("a", 1)]));
    assert_eq!(models(&scores), [("a", "propensity", "champion", true)]);
}

#[test]
fn an_artefact_that_cannot_be_loaded_stops_the_task() {
    let mut stage = stage(MemoryArtefacts::new());
    assert_eq!(stage.blocked(), None);
    let (_, rejected) = said(&run(&mut stage, [promotion(1, "", &champion(7))]));
    assert_eq!(rejected, [], "nothing is given up");
    let why = stage.blocked().unwrap();
    assert!(why.contains("00000000000000000000000000000007") && why.contains("cannot be loaded"), "{why}");
    stage.undo_epoch();
    assert_eq!(stage.blocked(), None, "it is tried again");
}

#[test]
fn a_model_that_cannot_score_here_is_refused_and_the_fallback_goes_on() {
    let mut other = Artefact::read(builtin::PROPENSITY).unwrap();
    other.features.pop();
    let names: Vec<&str> = other.features.iter().map(String::as_str).collect();
    other.feature_schema_hash = format!("{:032x}", millstream_scoring::features::schema_hash(&names));
    let mut artefacts = MemoryArtefacts::builtin();
    let other = artefacts.add(&other.to_bytes().unwrap());
    let damaged = artefacts.add(b"{}");
    let mut stage = stage(artefacts);
    let shipped = content_hash(builtin::PROPENSITY);
    let renamed = champion(shipped).replace("propensity", "churn");
    let challenger = champion(shipped).replace("champion", "challenger");
    let values = [
        promotion(1, "", &champion(other.0)),
        promotion(2, "", &champion(damaged.0)),
        promotion(3, "", &renamed),
        promotion(4, "", &challenger),
        promotion(5, "", "{\"model\":\"propensity\",\"artefact\":\"x\",\"role\":\"champion\"}"),
        promotion(6, "", "no JSON"),
        event("a", 1),
    ];
    let (scores, rejected) = said(&run(&mut stage, values));
    let reasons: Vec<&str> = rejected.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["unusable_model", "unusable_model", "unusable_model", "out_of_range", "wrong_type", "wrong_type"]
    );
    assert!(rejected[0].1.contains("was made for the features"), "{}", rejected[0].1);
    assert_eq!(stage.blocked(), None);
    assert_eq!(models(&scores), [("a", "heuristic", "fallback", false)]);
}

proptest! {
    /// Replay: over promotions, too, the same log gives the same bytes, however it is cut into epochs and whichever are aborted.
    #[test]
    fn a_replay_over_promotions_gives_the_same_bytes(
        steps in prop::collection::vec(0..12usize, 1..40),
        cuts in prop::collection::vec((1..6usize, any::<bool>()), 0..40),
    ) {
        let shipped = champion(content_hash(builtin::PROPENSITY));
        let values = steps.iter().enumerate().map(|(at, step)| match step {
            0 => promotion(at as i64, "", &shipped),
            1 => promotion(at as i64, "a", &shipped),
            2 => promotion(at as i64, "b", BACK),
            3 => promotion(at as i64, "", "broken"),
            step => event(["a", "b"][step % 2], at),
        });
        let log = inputs(values);
        let whole = bytes(&log, &[]);
        prop_assert_eq!(bytes(&log, &cuts), whole);
    }
}

/// All outputs over a log that is cut into epochs, aborted first where told.
fn bytes(log: &[Input], cuts: &[(usize, bool)]) -> Vec<(u16, Vec<u8>)> {
    let mut stage = stage(MemoryArtefacts::builtin());
    let mut outputs = Vec::new();
    let mut cuts = cuts.iter().copied().chain(std::iter::repeat((usize::MAX, false)));
    let mut next = 0;
    while next < log.len() {
        let (most, aborted) = cuts.next().unwrap();
        let epoch = &log[next..next.saturating_add(most).min(log.len())];
        for undone in [aborted, false].into_iter().skip(usize::from(!aborted)) {
            let mut out = Outputs::new();
            epoch.iter().for_each(|input| stage.on_record(record(0, input), &mut out));
            if undone {
                stage.undo_epoch();
            } else {
                stage.commit_epoch();
                outputs.extend(out.iter().map(|output| (output.topic, output.value.to_vec())));
            }
        }
        next += epoch.len();
    }
    outputs
}
