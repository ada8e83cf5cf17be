//! The shared scenarios.

use crate::Folder;
use crate::support::{Engine, Trouble, scenarios};

#[test]
fn revisions_and_retractions() {
    scenarios::revisions_and_retractions(&Folder::new());
}

#[test]
fn every_type() {
    let folder = Folder::new();
    scenarios::every_type(&folder);
    // Nested records, in DataFusion's own words.
    let lines = "SELECT lines[1]['product_id'], lines[1]['unit_price'], lines[2]['product_name'], array_length(lines) \
                 FROM events WHERE event_id = 'e1'";
    let expected = [Some("p-1"), Some("0.000001"), None, Some("2")].map(|text| text.map(str::to_owned));
    assert_eq!(folder.rows(lines), [expected.to_vec()]);
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
fn every_row_once_whatever_fails() {
    for seed in 1..=12 {
        scenarios::every_row_once_whatever_fails(&Folder::new(), seed);
    }
}
