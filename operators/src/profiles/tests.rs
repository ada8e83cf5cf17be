//! Against a naive sum over the rows of sessions.

use std::collections::BTreeSet;

use millstream_schemas::{Engagement, Event, Id, Profile, Session, purposes};
use proptest::prelude::*;

use crate::person::{Env, Incoming, People};
use crate::site::Sites;
use crate::testing::{MINUTE_MS, PERSON, Recorder, Told, Witness, context, decode, events};

const DAY_MS: i64 = 1_440 * MINUTE_MS;

#[derive(Default)]
struct House {
    people: People,
    sites: Sites,
    out: Recorder,
    offset: u64,
}

impl House {
    fn event(&mut self, event: &Event<'_>) {
        let mut body = Vec::new();
        event.encode(&mut body);
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Witness };
        let cx = context(self.offset, i64::MIN, event.event_time, event.event_id);
        self.people.on_event(Incoming { record: event, body: &body }, env, &cx, &mut self.out);
    }

    fn watermark(&mut self, watermark_ms: i64) {
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Witness };
        while self.people.on_watermark(1_000, env, &context(self.offset, watermark_ms, watermark_ms, ""), &mut self.out)
        {
            self.offset += 1;
        }
    }

    fn rows(&self, topic: &str) -> Vec<Vec<u8>> {
        self.out.current(topic).into_values().collect()
    }
}

/// The profile by its definition: sums, first and last over the closed sessions.
fn check(house: &House) -> Result<(), TestCaseError> {
    house.out.assert_one_output_per_key_and_revision();
    let bodies = house.rows("sessions");
    let mut closed: Vec<Session<'_>> = bodies.iter().map(|body| decode(body)).collect();
    closed.retain(|session| session.state == "closed");
    closed.sort_by_key(|session| session.started_at);
    let engaged = house.rows("engagement");
    let profiles = house.rows("profiles");
    prop_assert_eq!(profiles.len(), usize::from(!closed.is_empty()));
    let (Some(first), Some(body)) = (closed.first(), profiles.first()) else { return Ok(()) };
    let profile: Profile<'_> = decode(body);
    let latest = closed.iter().max_by_key(|session| session.ended_at).unwrap_or(first);
    prop_assert_eq!(profile.person, PERSON);
    prop_assert_eq!(profile.sessions as usize, closed.len());
    prop_assert_eq!(profile.page_views, closed.iter().map(|session| session.page_views).sum::<i64>());
    prop_assert_eq!(profile.engaged_ms, closed.iter().map(|session| session.engaged_ms).sum::<i64>());
    prop_assert_eq!((profile.first_seen_at, profile.last_seen_at), (first.started_at, latest.ended_at));
    // Of those that begin or end at the same time, one.
    let has = |channel: &str, at: &dyn Fn(&&Session<'_>) -> bool| {
        closed.iter().filter(at).any(|session| session.channel == channel)
    };
    prop_assert!(has(profile.first_channel, &|session| session.started_at == first.started_at));
    prop_assert!(has(profile.last_channel, &|session| session.ended_at == latest.ended_at));
    let sources: BTreeSet<Id> = closed.iter().map(|session| session.source).collect();
    prop_assert_eq!(profile.sources as usize, sources.len());
    let score = |body: &Vec<u8>| decode::<Engagement<'_>>(body).score;
    let mean = engaged.iter().map(score).sum::<f64>() / engaged.len() as f64;
    prop_assert!((profile.engagement_score - mean).abs() < 1e-6, "{} {}", profile.engagement_score, mean);
    prop_assert_eq!(profile.consent, closed.iter().fold(15, |bits, session| bits & session.consent));
    prop_assert_eq!(profile.is_bot, closed.iter().any(|session| session.is_bot));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Visits on several days, so that the first are folded before the last begin; in any order within a day.
    #[test]
    fn a_profile_is_the_sum_of_the_closed_sessions(
        days in prop::collection::vec((events(12), 0..60i64), 1..5), two in any::<bool>(),
    ) {
        let mut house = House::default();
        for (day, (told, until)) in days.iter().enumerate() {
            let from_ms = day as i64 * 3 * DAY_MS;
            for (at, told) in told.iter().enumerate() {
                let told = Told { id: format!("{day}-{}", told.id), time_ms: from_ms + told.time_ms, ..told.clone() };
                let source = Id(if two { at as u128 % 2 } else { 7 });
                house.event(&Event { source: Some(source), ..told.event() });
                check(&house)?;
            }
            house.watermark(from_ms + until * 5 * MINUTE_MS);
            check(&house)?;
        }
        house.watermark(40 * DAY_MS);
        check(&house)?;
        prop_assert_eq!(house.people.memory_use([PERSON]).sessions, 0, "all are folded");
    }
}

#[test]
fn an_ordinary_event_makes_no_profile() {
    let mut house = House::default();
    for minute in 0..20 {
        let told = Told { id: format!("{minute}"), kind: "page_view", consent: 15, ..Told::default() };
        house.event(&Told { time_ms: minute * MINUTE_MS, ..told }.event());
    }
    assert!(house.out.rows.iter().all(|row| row.topic != "profiles" && row.topic != "engagement"));
    house.watermark(60 * MINUTE_MS);
    assert_eq!(house.out.rows.iter().filter(|row| row.topic == "profiles").count(), 1);
    // Re-opened by a late event: nothing is closed, so that there is no profile.
    house.event(
        &Told { id: "late".to_owned(), kind: "click", time_ms: 40 * MINUTE_MS, consent: 3, ..Told::default() }.event(),
    );
    assert!(house.rows("profiles").is_empty() && house.rows("engagement").is_empty());
    // Or a sink that asks for a purpose would keep the row before for ever.
    let last = house.out.rows.iter().rfind(|row| row.topic == "profiles").unwrap();
    assert_eq!(decode::<Profile<'_>>(&last.body).consent, purposes::ALL);
}
