//! Without the purpose *analytics* a touch is in no path, and an order has no credits.

use millstream_schemas::{OrderFact, purposes};

use super::*;
use crate::attribution::emit_order_changes;
use crate::core::EventKind;
use crate::testing::{Told, context};

const WITHOUT: [i32; 3] =
    [purposes::NECESSARY, purposes::NECESSARY | purposes::PERSONALIZATION, purposes::ALL & !purposes::ANALYTICS];

#[test]
fn an_offline_touch_without_the_purpose_is_none() {
    let told = |consent| Told { id: "t".into(), kind: "offline_touch", consent, channel: "branch", ..Told::default() };
    for consent in WITHOUT {
        assert_eq!(Touch::of_event(&told(consent).event(), EventKind::OfflineTouch), None);
    }
    let told = told(purposes::NECESSARY | purposes::ANALYTICS);
    assert!(Touch::of_event(&told.event(), EventKind::OfflineTouch).is_some());
    assert_eq!(Touch::of_event(&told.event(), EventKind::PageView), None);
}

#[test]
fn a_touch_that_an_order_tells_of_without_the_purpose_is_none() {
    for consent in WITHOUT {
        let fact = OrderFact { kind: "touch", channel: Some("branch"), consent, ..fact("o", 5, 0, 0) };
        assert_eq!(Touch::of_fact(&fact), None);
    }
    let fact = OrderFact { kind: "touch", channel: Some("branch"), ..fact("o", 5, 0, 0) };
    assert!(Touch::of_fact(&fact).is_some());
}

#[test]
fn an_order_without_the_purpose_has_no_credits_and_loses_those_it_had() {
    let ledger = ledger([touch(1, 1, "email")]);
    for consent in WITHOUT {
        let (mut out, mut buyer) = (Recorder::default(), Buyer::default());
        let changed = tell(&mut buyer, &OrderFact { consent, ..fact("o", 5, 10, 0) });
        emit_order_changes(&changed, &buyer, &ledger, &OWNER, &rules(), &context(1, 0, 5, "o"), &mut out);
        assert_eq!(out.rows, []);
        for (offset, consent, rows) in [(2, purposes::ALL, 6), (3, consent, 0)] {
            let changed = tell(&mut buyer, &OrderFact { consent, ..fact("o", 5, 10, 0) });
            emit_order_changes(&changed, &buyer, &ledger, &OWNER, &rules(), &context(offset, 0, 5, "o"), &mut out);
            assert_eq!(view(&out).len(), rows);
        }
    }
}

#[test]
fn a_credit_allows_what_both_order_and_touch_allow() {
    let mut touch = touch(1, 1, "email");
    touch.consent = (purposes::NECESSARY | purposes::ANALYTICS | purposes::ADVERTISING) as u8;
    let (mut out, mut buyer) = (Recorder::default(), Buyer::default());
    let told = OrderFact { consent: purposes::ALL & !purposes::ADVERTISING, ..fact("o", 5, 10, 0) };
    let changed = tell(&mut buyer, &told);
    let ledger = ledger([touch]);
    emit_order_changes(&changed, &buyer, &ledger, &OWNER, &rules(), &context(1, 0, 5, "o"), &mut out);
    for body in out.current("attribution").values() {
        let row: Attribution<'_> = decode(body);
        assert_eq!(row.consent, purposes::NECESSARY | purposes::ANALYTICS);
    }
}
