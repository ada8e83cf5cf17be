//! Snowplow's own test events against the expected output of Snowplow's own web model: 18 sessions, 11 users, 43 page views.
//!
//! Every one of them is compared in start, end and page views; whatever differs must stand in [`DIFFERENCES`] with its rule, and
//! whatever stands there must differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millstream_tests::binary::{Installation, checkout};

use crate::snowplow_differences::DIFFERENCES;
use crate::{data, mapping};

/// What is compared, by id: start, end, page views.
type Figures = BTreeMap<String, [String; 3]>;
/// What differs: kind, short id, field, reference, here.
type Difference = [String; 5];

const FIXTURES: &str = "snowplow_web_fixtures/integration_tests/data";

/// A session of several devices is one by the tracker's id; what has no such id is named by its device.
const SESSIONS: &str = "select case when tracker_session_id is null then concat('none:', device_id) else tracker_session_id end \
    as id, min(started_at), max(ended_at), sum(page_views) from sessions_current group by id order by id";
const USERS: &str = "select device_id, min(started_at), max(ended_at), sum(page_views) from sessions_current \
    group by device_id order by device_id";
/// A view starts with its (first) event and lasts until its last ping in the same session.
const PAGE_VIEWS: &str = "select v.page_view_id, v.started, \
    case when p.ended is null or p.ended < v.started then v.started else p.ended end, '1' from \
    (select tracker_session_id, page_view_id, min(event_time) as started from events \
      where event_type = 'page_view' and page_view_id is not null group by tracker_session_id, page_view_id) v left join \
    (select tracker_session_id, page_view_id, max(event_time) as ended from events \
      where event_type = 'page_ping' and page_view_id is not null group by tracker_session_id, page_view_id) p \
    on v.tracker_session_id = p.tracker_session_id and v.page_view_id = p.page_view_id order by v.page_view_id";

fn reference(path: &Path, columns: [&str; 4]) -> Figures {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = columns.map(|name| header.iter().position(|known| known == name));
    let row = |row: csv::StringRecord| {
        // A page view counts one page view; there is no column for it.
        let [id, start, end, views] = at.map(|at| at.map_or("1".to_owned(), |at| row[at].to_owned()));
        (id, [start, end, views])
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn here(installation: &Installation, sql: &str) -> Figures {
    let mut figures = Figures::new();
    for row in installation.query(sql) {
        let cells: Vec<String> = row.split('|').map(|cell| cell.replace('T', " ").replace('Z', "")).collect();
        let [id, start, end, views] = cells.try_into().unwrap();
        assert!(figures.insert(id.clone(), [start, end, views]).is_none(), "{id} is there twice");
    }
    figures
}

/// The beginning and the end of a long id.
fn short(id: &str) -> String {
    let end = id.len().saturating_sub(4).max(id.len().min(8));
    if id.len() > 40 { format!("{}…{}", &id[..8], &id[end..]) } else { id.to_owned() }
}

fn compare(kind: &str, reference: &Figures, here: &Figures, found: &mut BTreeSet<Difference>) {
    let row = |id: &str, field: &str, there: &str, here: &str| {
        [kind.to_owned(), short(id), field.to_owned(), there.to_owned(), here.to_owned()]
    };
    for (id, expected) in reference {
        let Some(got) = here.get(id) else {
            found.insert(row(id, "id", "there", "missing"));
            continue;
        };
        for (at, field) in ["start", "end", "page views"].iter().enumerate() {
            if expected[at] != got[at] {
                found.insert(row(id, field, &expected[at], &got[at]));
            }
        }
    }
    for id in here.keys().filter(|id| !reference.contains_key(*id)) {
        found.insert(row(id, "id", "left out", "there"));
    }
}

fn check(test: &str, installation: Installation) {
    let Some(folder) = data(test, FIXTURES) else { return };
    let installation = installation.with_config(&checkout().join("examples/config/snowplow_web.toml"));
    let said = installation.import(&mapping("snowplow_web.toml"), &[folder.join("source/snowplow_web_events.csv")]);
    assert!(said.contains("160 rows"), "{said}");

    let expected = folder.join("expected");
    let sessions = reference(
        &expected.join("default/snowplow_web_sessions_expected.csv"),
        ["domain_sessionid", "start_tstamp", "end_tstamp", "page_views"],
    );
    let users = reference(
        &expected.join("snowplow_web_users_expected.csv"),
        ["domain_userid", "start_tstamp", "end_tstamp", "page_views"],
    );
    let views = reference(
        &expected.join("snowplow_web_page_views_expected.csv"),
        ["page_view_id", "start_tstamp", "end_tstamp", "(one)"],
    );
    assert_eq!((sessions.len(), users.len(), views.len()), (18, 11, 43), "the reference is another one");

    let mut found = BTreeSet::new();
    compare("session", &sessions, &here(&installation, SESSIONS), &mut found);
    compare("user", &users, &here(&installation, USERS), &mut found);
    compare("page view", &views, &here(&installation, PAGE_VIEWS), &mut found);
    let listed: BTreeSet<Difference> = DIFFERENCES.iter().map(|(row, _rule)| row.map(str::to_owned)).collect();
    let lines = |rows: Vec<&Difference>| rows.iter().map(|row| format!("  {row:?}\n")).collect::<String>();
    let unlisted = lines(found.difference(&listed).collect());
    let gone = lines(listed.difference(&found).collect());
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "differs and is not listed:\n{unlisted}listed and does not differ:\n{gone}"
    );
    assert_eq!(listed.len(), DIFFERENCES.len(), "a difference is listed twice");

    // The page for readers names every id of the list.
    let page = std::fs::read_to_string(mapping("snowplow_web.md")).unwrap();
    let named =
        |id: &str| page.contains(id.trim_start_matches("none:").split('…').next().unwrap().get(..8).unwrap_or(id));
    assert!(
        DIFFERENCES.iter().all(|(row, _)| row[1].starts_with("none:") || named(row[1])),
        "snowplow_web.md lacks one"
    );

    // Rows that come twice count once; the reference's 26 ids with consent events only are whole sessions here.
    installation.expect(&[
        ("select count(*), count(distinct event_id) from events", "157|157"),
        (
            "select count(distinct tracker_session_id) from events where custom_name in ('cmp_visible', 'consent_preferences')",
            "26",
        ),
    ]);
}

#[test]
fn snowplow_embedded() {
    check("snowplow_embedded", Installation::embedded());
}

#[test]
fn snowplow_kafka_clickhouse() {
    let test = "snowplow_kafka_clickhouse";
    if data(test, "").is_some()
        && let Some(installation) = Installation::on_servers(test)
    {
        check(test, installation);
    }
}
