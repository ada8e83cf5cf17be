//! The shared scenarios.

use crate::Folder;
use crate::support::{Engine, Trouble, scenarios};

#[test]
fn revisions_and_retractions() {
    scenarios::revisions_and_retractions(&Folder::new());
}

#[test]
fn attribution_views() {
    scenarios::attribution_views(&Folder::new());
}

#[test]
fn equal_revisions_are_one_row() {
    scenarios::equal_revisions_are_one_row(&Folder::new());
}

#[test]
fn every_type() {
    let folder = Folder::new();
    scenarios::every_type(&folder);
    // Nested records, in DataFusion's own words.
    let lines = "SELECT get_field(line, 'product_id'), get_field(line, 'unit_price'), get_field(line, 'product_name') \
                 FROM (SELECT unnest(lines) AS line FROM events WHERE event_id = 'e1') AS l ORDER BY 1";
    let some = |text: &str| Some(text.to_owned());
    let first = [some("p-1"), some("0.000001"), some("A thing")];
    assert_eq!(folder.rows(lines), [first, [some("p-2"), some("12.500000"), None]]);
    let reasons = folder.rows("SELECT unnest(reasons) FROM scores_propensity_current");
    assert_eq!(reasons, [[some("cart_adds")], [some("it's, \"two\"")]]);
    assert_eq!(folder.rows("SELECT event_time FROM events LIMIT 1"), [[some("2019-10-18T12:00:00.123Z")]]);
}

#[test]
fn restart_between_intent_and_insert() {
    scenarios::restart_with_an_intent(&Folder::new(), Trouble::BeforeInsert);
}

#[test]
fn restart_between_insert_and_commit() {
    scenarios::restart_with_an_intent(&Folder::new(), Trouble::AfterInsert);
}

#[test]
fn restart_with_an_old_intent() {
    scenarios::restart_with_an_old_intent(&Folder::new(), Trouble::AfterInsert);
    scenarios::restart_with_an_old_intent(&Folder::new(), Trouble::BeforeInsert);
}

#[test]
fn a_changed_batch_stops() {
    scenarios::a_changed_batch_stops(&Folder::new());
}

#[test]
fn corrupt_records() {
    scenarios::corrupt_records(&Folder::new());
}

#[test]
fn consent_is_enforced() {
    scenarios::consent_is_enforced(&Folder::new());
}

#[test]
fn consent_taken_back_ends_the_row() {
    scenarios::consent_taken_back_ends_the_row(&Folder::new());
}

#[test]
fn every_row_once_whatever_fails() {
    for seed in 1..=8 {
        scenarios::every_row_once_whatever_fails(&Folder::new(), seed);
    }
}
