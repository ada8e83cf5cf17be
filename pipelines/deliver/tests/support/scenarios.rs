//! What every warehouse must do, asked with the same SQL.

use millstream_deliver::{DeliverError, Intent, Note};
use millstream_schemas::{Rejected, frame, purposes};
use millstream_transports::Fault;

use super::records::{
    SITE, credit, event, full_event, order, score, session, session_allowed, session_id, spend, watermark,
};
use super::world::{Put, World};
use super::{Engine, Trouble, Troubled};

/// History has every revision, the current view one row a key: the newest revision, whatever the order of arrival, unless it is
/// retracted.
pub fn revisions_and_retractions(engine: &impl Engine) {
    let world = World::new();
    world.append(&[
        ("sessions", 0, session("a", 10, 1, false)),
        ("sessions", 1, session("b", 5, 1, false)),
        ("sessions", 0, session("c", 12, 4, false)),
        ("orders", 0, order("o1", 3, 1_000, 0)),
    ]);
    world.deliver(engine.sink());
    world.append(&[
        ("sessions", 0, session("a", 30, 3, false)),
        // An older revision that comes later.
        ("sessions", 1, session("a", 20, 2, false)),
        ("sessions", 1, session("b", 6, 1, true)),
        // A hand-over counts more than any offset.
        ("sessions", 1, session("c", (1 << 48) | 2, 5, false)),
        ("orders", 0, order("o1", 9, 1_000, 250)),
        ("orders", 1, order("o2", 4, 500, 0)),
    ]);
    world.deliver(engine.sink());

    assert_eq!(engine.number("SELECT count(*) FROM sessions"), 7);
    let current = engine.rows("SELECT session_id, page_views FROM sessions_current ORDER BY page_views");
    let expected: Vec<Vec<Option<String>>> = [("a", "3"), ("c", "5")]
        .map(|(name, views)| vec![Some(session_id(name).to_string()), Some(views.to_owned())])
        .into();
    assert_eq!(current, expected);
    assert_eq!(engine.number("SELECT sum(net_minor) FROM orders_net"), 750 + 500);
    assert_eq!(engine.number("SELECT count(*) FROM orders_net"), 2);
    let by_day = engine.rows("SELECT channel, day, sessions, page_views FROM sessions_by_channel_and_day");
    let expected = ["direct", "2019-10-18", "2", "8"].map(|text| Some(text.to_owned()));
    assert_eq!(by_day, [expected.to_vec()]);
    // Every row says where it stands in the log, and no two stand at the same place.
    let places = "SELECT count(*) FROM (SELECT DISTINCT log_partition, log_offset FROM sessions) AS places";
    assert_eq!(engine.number(places), 7);
}

/// Credits of all models stand side by side, and beside what was spent.
pub fn attribution_views(engine: &impl Engine) {
    let world = World::new();
    let mut records = vec![
        ("attribution", 0, credit("o1", "first", "email", 1.0, 1_000, 400)),
        ("attribution", 0, credit("o1", "last", "paid_search", 1.0, 1_000, 400)),
        ("attribution", 1, credit("o1", "linear", "email", 0.5, 500, 200)),
        ("attribution", 1, credit("o1", "linear", "paid_search", 0.5, 500, 200)),
        ("events", 0, spend("s1", "paid_search", Some("autumn"), 0, 100)),
        ("events", 0, spend("s2", "paid_search", None, 1, 50)),
        // Without a credit, and the month after.
        ("events", 1, spend("s3", "display", None, 20, 70)),
        ("events", 1, event("no spend", 15)),
    ];
    for model in ["last_non_direct", "time_decay", "position"] {
        records.push(("attribution", 0, credit("o1", model, "email", 1.0, 1_000, 400)));
    }
    world.append(&records);
    world.deliver(engine.sink());
    let row = |texts: &[&str]| texts.iter().map(|&text| Some(text.to_owned())).collect::<Vec<_>>();
    // A number without a fraction, which both engines write alike; -100 for null.
    let whole = |column: &str| format!("CAST(round(coalesce({column}, -1) * 100) AS INT) AS {column}_100");
    let by_model = format!(
        "SELECT channel, day, first_minor, last_minor, last_non_direct_minor, linear_minor, time_decay_minor, \
         position_minor, {}, {} FROM attribution_by_model ORDER BY channel",
        whole("last_orders"),
        whole("linear_orders")
    );
    let expected = [
        row(&["email", "2019-10-18", "600", "0", "600", "300", "600", "600", "0", "50"]),
        row(&["paid_search", "2019-10-18", "0", "600", "0", "300", "0", "0", "100", "50"]),
    ];
    assert_eq!(engine.rows(&by_model), expected);
    let finest = "SELECT channel, campaign, day, spend_minor, credited_minor FROM spend_and_credits \
                  WHERE model = 'linear' ORDER BY channel, campaign, day";
    let expected = [
        row(&["display", "", "2019-11-07", "70", "0"]),
        row(&["email", "", "2019-10-18", "0", "300"]),
        row(&["paid_search", "", "2019-10-19", "50", "0"]),
        row(&["paid_search", "autumn", "2019-10-18", "100", "300"]),
    ];
    assert_eq!(engine.rows(finest), expected);
    let roas = format!(
        "SELECT channel, model, month, spend_minor, credited_minor, {} FROM roas \
         WHERE model IN ('first', 'linear') ORDER BY channel, model",
        whole("roas")
    );
    let expected = [
        row(&["display", "first", "2019-11-01", "70", "0", "0"]),
        row(&["display", "linear", "2019-11-01", "70", "0", "0"]),
        row(&["email", "first", "2019-10-01", "0", "600", "-100"]),
        row(&["email", "linear", "2019-10-01", "0", "300", "-100"]),
        row(&["paid_search", "first", "2019-10-01", "150", "0", "0"]),
        row(&["paid_search", "linear", "2019-10-01", "150", "300", "200"]),
    ];
    assert_eq!(engine.rows(&roas), expected);
}

/// Every type arrives as it was sent, at its limits too.
pub fn every_type(engine: &impl Engine) {
    let world = World::new();
    world.append(&[
        ("events", 1, full_event("e1")),
        ("events", 1, event("e2", 15)),
        ("scores.propensity", 0, score("a", 7, 0.1)),
    ]);
    world.deliver(engine.sink());
    let text = |sql: &str| engine.rows(sql).remove(0).remove(0);
    let full = |column: &str| text(&format!("SELECT {column} FROM events WHERE event_id = 'e1'"));
    let none = |column: &str| text(&format!("SELECT {column} FROM events WHERE event_id = 'e2'"));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(full("revision"), some(&((3u64 << 48) | 77).to_string()));
    assert_eq!(full("sequence"), some("-9007199254740993"));
    assert_eq!(full("scroll_depth_pct"), some("-2147483648"));
    assert_eq!(full("amount_minor"), some("9223372036854775807"));
    assert_eq!(full("unit_price"), some("-999999999999.999999"));
    assert_eq!(full("is_bot"), some("true"));
    assert_eq!(full("country"), some("DE"));
    assert_eq!(full("page_url"), some(""));
    assert_eq!(full("site"), some(SITE));
    assert_eq!(full("properties"), some("{\"a\":[1,2]}"));
    assert_eq!(full("source"), some(&millstream_schemas::Id::of(&[b"source"]).to_string()));
    let title = "SELECT count(*) FROM events WHERE page_title = 'Tab\there, \"quotes\", line\nend and 日本'";
    assert_eq!(engine.number(title), 1);
    assert_eq!(full("CAST(event_time AS DATE)"), some("2019-10-18"));
    for column in ["sequence", "unit_price", "country", "page_url", "source", "amount_minor", "properties"] {
        assert_eq!(none(column), None, "{column}");
    }
    assert_eq!(text("SELECT p_purchase FROM scores_propensity"), some("0.1"));
}

/// A process that dies after its intent, before or after its insert: the next one inserts exactly that batch, once, though there
/// are more records by then.
pub fn restart_with_an_intent(engine: &impl Engine, trouble: Trouble) {
    let world = World::new();
    world.append(&[("sessions", 0, session("a", 1, 1, false)), ("sessions", 0, session("b", 2, 1, false))]);
    {
        let mut deliverer = world.deliverer(Troubled::new(engine.sink(), trouble), world.config());
        for _ in 0..6 {
            world.step(&mut deliverer).unwrap();
        }
        assert!(deliverer.stats().failed_inserts > 0);
        // Not closed: the process is dead.
    }
    let committed = world.committed("sessions", 0).unwrap();
    let intent = Intent::decode(&committed.metadata).unwrap().unwrap();
    assert_eq!((intent.rows, committed.offset), (2, 0));
    assert_eq!(engine.number("SELECT count(*) FROM sessions"), if trouble == Trouble::AfterInsert { 2 } else { 0 });

    world.append(&[("sessions", 0, session("a", 9, 2, false)), ("sessions", 0, session("d", 10, 7, false))]);
    let mut deliverer = world.deliverer(engine.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(deliverer.stats().rebuilt, 1);
    assert_eq!(engine.number("SELECT count(*) FROM sessions"), 4);
    assert_eq!(engine.number("SELECT sum(page_views) FROM sessions_current"), 2 + 1 + 7);
    let note = Note::decode(&world.committed("sessions", 0).unwrap().metadata).unwrap();
    assert!(matches!(note, Note::Delivered(_)), "{note:?}");
}

/// The same where the sink's memory of tokens has passed: the table itself says whether the batch is in.
pub fn restart_with_an_old_intent(engine: &impl Engine, trouble: Trouble) {
    let world = World::new();
    world.append(&[("sessions", 0, session("a", 1, 1, false)), ("sessions", 0, session("b", 2, 1, false))]);
    {
        let mut deliverer = world.deliverer(Troubled::new(engine.sink(), trouble), world.config());
        for _ in 0..4 {
            world.step(&mut deliverer).unwrap();
        }
    }
    world.clock.advance(7 * 24 * 3_600_000);
    let mut deliverer = world.deliverer(engine.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(engine.number("SELECT count(*) FROM sessions"), 2);
    assert_eq!(engine.number("SELECT count(*) FROM sessions_current"), 2);
}

/// A batch that cannot be rebuilt as it was intended stops the deliverer; nothing is inserted.
pub fn a_changed_batch_stops(engine: &impl Engine) {
    let world = World::new();
    world.append(&[("events", 0, event("e1", purposes::ALL)), ("events", 0, event("e2", purposes::NECESSARY))]);
    {
        let mut deliverer = world.deliverer(Troubled::new(engine.sink(), Trouble::BeforeInsert), world.config());
        for _ in 0..4 {
            world.step(&mut deliverer).unwrap();
        }
    }
    let before = world.committed("events", 0).unwrap();
    let mut config = world.config();
    config.required_purposes = purposes::ANALYTICS;
    let mut deliverer = world.deliverer(engine.sink(), config);
    let error = world.deliver_all(&mut deliverer).unwrap_err();
    assert!(matches!(error, DeliverError::Mismatch { partition: 0, table: "events", .. }), "{error}");
    assert!(error.to_string().contains("(1 rows of events"), "{error}");
    assert_eq!(engine.number("SELECT count(*) FROM events"), 0);
    assert_eq!(world.committed("events", 0).unwrap(), before);

    // With the former purposes it goes on.
    let mut deliverer = world.deliverer(engine.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(engine.number("SELECT count(*) FROM events"), 2);
}

/// Records that cannot be read end as dead letters with reason, origin and bytes, once, and stop nothing. Records without a row
/// are counted.
pub fn corrupt_records(engine: &impl Engine) {
    let world = World::new();
    let mut cut = session("cut", 3, 1, false);
    cut.truncate(40);
    let mut long = session("long", 4, 1, false);
    long.push(0);
    let mut unknown = Vec::new();
    frame::begin(4_711, &mut unknown);
    let bad: [(&str, Vec<u8>); 5] = [
        ("corrupt_frame", b"{\"not\":\"avro\"}".to_vec()),
        ("corrupt_frame", cut),
        ("corrupt_frame", long),
        ("unknown_schema", unknown),
        ("unexpected_record", order("o1", 1, 1, 0)),
    ];
    let mut puts: Vec<Put<'_>> = vec![("sessions", 0, session("a", 1, 1, false))];
    puts.extend(bad.iter().map(|(_, bytes)| ("sessions", 0, bytes.clone())));
    puts.push(("sessions", 0, session("b", 2, 1, false)));
    puts.push(("events", 0, watermark()));
    puts.push(("events", 0, Vec::new()));
    world.append(&puts);
    let mut deliverer = world.deliverer(engine.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();

    assert_eq!(engine.number("SELECT count(*) FROM sessions"), 2);
    assert_eq!((deliverer.stats().rejected, deliverer.stats().skipped), (5, 2));
    let letters = world.values(Rejected::TOPIC);
    assert_eq!(letters.len(), 5);
    for ((reason, bytes), letter) in bad.iter().zip(&letters) {
        let (id, body) = frame::split(letter).unwrap();
        let letter = Rejected::decode(body).unwrap();
        assert_eq!((id, letter.stage, letter.reason), (Rejected::ID, "deliver", *reason));
        assert_eq!((letter.topic, letter.partition, letter.payload), (Some("sessions"), Some(0), bytes.as_slice()));
        assert_eq!(letter.rejection_id, format!("sessions:0:{}", letter.offset.unwrap()));
    }
    // They are delivered, too.
    let by_reason =
        engine.rows("SELECT reason, records FROM rejected_by_reason WHERE stage = 'deliver' ORDER BY reason");
    let expected = [("corrupt_frame", "3"), ("unexpected_record", "1"), ("unknown_schema", "1")];
    let expected = expected.map(|(reason, count)| vec![Some(reason.to_owned()), Some(count.to_owned())]);
    assert_eq!(by_reason, expected);
}

/// An event without the sink's purposes never reaches it; the rest does, and both are counted.
pub fn consent_is_enforced(engine: &impl Engine) {
    let world = World::new();
    world.append(&[
        ("events", 0, event("all", purposes::ALL)),
        ("events", 0, event("necessary", purposes::NECESSARY)),
        ("events", 1, event("analytics", purposes::NECESSARY | purposes::ANALYTICS)),
        ("events", 1, event("advertising", purposes::NECESSARY | purposes::ADVERTISING)),
        ("events", 1, event("nothing", 0)),
    ]);
    let mut config = world.config();
    config.required_purposes = purposes::NECESSARY | purposes::ANALYTICS;
    let mut deliverer = world.deliverer(engine.sink(), config);
    world.deliver_all(&mut deliverer).unwrap();
    let ids = engine.rows("SELECT event_id FROM events ORDER BY event_id");
    assert_eq!(ids, [[Some("all".to_owned())], [Some("analytics".to_owned())]]);
    assert_eq!((deliverer.stats().rows(), deliverer.stats().filtered()), (2, 3));
}

/// Who takes a purpose back is not current any more with what was known before: the sink is told that the key has ceased, and nothing
/// else. Given again, the row is back.
pub fn consent_taken_back_ends_the_row(engine: &impl Engine) {
    let world = World::new();
    let all = purposes::NECESSARY | purposes::ANALYTICS;
    let mut config = world.config();
    config.required_purposes = all;
    let mut deliverer = world.deliverer(engine.sink(), config);
    let current = "SELECT page_views FROM sessions_current";
    for (revision, consent, expected) in
        [(1, all, vec!["3"]), (2, purposes::NECESSARY, vec![]), (3, all, vec!["5"]), (4, 0, vec![])]
    {
        let row = session_allowed("a", revision, 2 + revision, false, consent);
        world.append(&[("sessions", 0, row)]);
        world.deliver_all(&mut deliverer).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|views| vec![Some(views.to_owned())]).collect();
        assert_eq!(engine.rows(current), expected, "revision {revision}");
    }
    let told = "SELECT revision, page_views, browser FROM sessions WHERE retracted ORDER BY revision";
    let nothing = |revision: &str| [revision, "0", ""].map(|text| Some(text.to_owned())).to_vec();
    assert_eq!(engine.rows(told), [nothing("2"), nothing("4")]);
    assert_eq!((deliverer.stats().rows(), deliverer.stats().filtered()), (4, 0));
}

/// Two workers that come, die and share partitions, faults of the log at every commit and poll, lost answers of the sink: every
/// row is in the sink once, in the end.
pub fn every_row_once_whatever_fails(engine: &impl Engine, seed: u64) {
    let world = World::new();
    let faults = [
        (Fault::CommitUnknownApplied, 60_000),
        (Fault::CommitUnknownDropped, 60_000),
        (Fault::CommitAborted, 60_000),
        (Fault::CommitFenced, 30_000),
        (Fault::Rebalance, 30_000),
        (Fault::MembershipLost, 20_000),
    ];
    let mut random = seed;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let (mut sessions, mut bad) = (0i64, 0);
    for _life in 0..6 {
        let mut workers: Vec<_> = ["worker-1", "worker-2"]
            .into_iter()
            .take(1 + below(2) as usize)
            .map(|name| {
                let trouble = if below(2) == 0 { Trouble::BeforeInsert } else { Trouble::AfterInsert };
                let sink = Troubled::new(engine.sink(), trouble);
                sink.after.store(below(6) as i64, std::sync::atomic::Ordering::Relaxed);
                let mut config = world.config();
                config.instance_id = name.to_owned();
                config.limits.max_rows = 3;
                world.deliverer(sink, config)
            })
            .collect();
        for _ in 0..below(40) {
            if below(3) == 0 {
                let mut puts: Vec<Put<'_>> = Vec::new();
                for _ in 0..=below(5) {
                    sessions += 1;
                    let partition = below(2) as u32;
                    puts.push(("sessions", partition, session(&sessions.to_string(), sessions, 1, false)));
                }
                if below(3) == 0 {
                    bad += 1;
                    puts.push(("sessions", below(2) as u32, b"bad".to_vec()));
                }
                world.append(&puts);
            }
            world.log.faults().plan(below(u64::MAX), &faults);
            let turn = below(workers.len() as u64) as usize;
            world.step(&mut workers[turn]).unwrap();
            world.log.faults().clear();
        }
    }
    // The sessions of the dead time out; the last worker owns everything.
    world.clock.advance(60_000);
    let mut deliverer = world.deliverer(engine.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(engine.number("SELECT count(*) FROM sessions"), sessions, "seed {seed}");
    assert_eq!(engine.number("SELECT count(*) FROM sessions_current"), sessions, "seed {seed}");
    assert_eq!(world.values(Rejected::TOPIC).len(), bad, "seed {seed}");
    assert_eq!(engine.number("SELECT count(*) FROM events_rejected"), bad as i64, "seed {seed}");
}

/// A revision that stands twice in the history is one current row: the later of the two.
pub fn equal_revisions_are_one_row(engine: &impl Engine) {
    let world = World::new();
    world.append(&[("sessions", 0, session("a", 7, 1, false)), ("sessions", 0, session("a", 7, 2, false))]);
    world.append(&[("sessions", 1, session("b", 7, 1, false))]);
    world.deliver(engine.sink());
    assert_eq!(engine.number("SELECT count(*) FROM sessions"), 3);
    assert_eq!(engine.number("SELECT sum(page_views) FROM sessions_current"), 2 + 1);
}
