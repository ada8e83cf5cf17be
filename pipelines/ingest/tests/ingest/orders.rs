//! Orders and refunds on their way to where they are unique.

use millstream_schemas::Id;
use millstream_transports::partition_for;
use serde_json::json;

use crate::harness::*;

fn partition_of(id: &str) -> u32 {
    partition_for(&Id::of(&[SITE.as_bytes(), id.as_bytes()]).0.to_be_bytes(), EVENTS_PARTITIONS)
}

#[test]
fn an_order_goes_to_its_orders_partition_whoever_bought() {
    for n in 0..20 {
        let order = format!("order-{n}");
        let json = json!({"id": "p", "type": "purchase", "device": format!("d{n}"), "order": {
            "id": order, "currency": "GBP", "amount": "20.00", "tax": 3.2, "shipping": 4, "discount": 1, "coupon": "X",
            "lines": [{"product_id": "a", "name": "A", "category": "c", "quantity": 2, "price": 5.5, "cost": 3},
                      {"product_id": "b", "price": 9}]}});
        let out = run(&[event(json)]);
        let entries = orders(&out);
        let (partition, entry) = &entries[0];
        assert_eq!(*partition, partition_of(&order));
        let event = &events(&out)[0];
        assert_eq!((entry.kind, entry.order_id, entry.refund_id), ("purchase", Some(order.as_str()), None));
        assert_eq!((entry.currency, entry.amount_minor), (Some("GBP"), Some(2_000)));
        assert_eq!((entry.tax_minor, entry.shipping_minor, entry.discount_minor), (Some(320), Some(400), Some(100)));
        assert_eq!((entry.source, entry.person, entry.coupon), (event.source, event.person, Some("X")));
        assert_eq!(entry.lines, event.lines);
        let lines: Vec<_> =
            entry.lines.iter().map(|line| (line.line_no, line.quantity, line.amount_minor, line.cost_minor)).collect();
        assert_eq!(lines, [(1, 2, 1_100, Some(300)), (2, 1, 900, None)]);
        let person = event.person.unwrap();
        let Some(Written::Event(at, _)) = written(&out).into_iter().find(|w| matches!(w, Written::Event(..))) else {
            panic!("no event")
        };
        assert_eq!(at, partition_for(&person.0.to_be_bytes(), EVENTS_PARTITIONS));
    }
}

#[test]
fn a_refund_goes_to_the_order_it_names_else_by_its_own_id() {
    let refund =
        |id: &str, refund: serde_json::Value| event(json!({"id": id, "type": "refund", "user": "u", "refund": refund}));
    let out = run(&[
        refund("e1", json!({"id": "r1", "order_id": "o1", "currency": "EUR", "amount": 3})),
        refund("e2", json!({"id": "r2", "currency": "EUR", "amount": 3})),
        refund("e3", json!({"currency": "EUR", "lines": [{"product_id": "a", "price": 1.5, "quantity": 2}]})),
    ]);
    let places: Vec<_> = orders(&out)
        .iter()
        .map(|(at, entry)| {
            (
                *at,
                entry.kind.to_owned(),
                entry.order_id.map(str::to_owned),
                entry.refund_id.map(str::to_owned),
                entry.amount_minor,
            )
        })
        .collect();
    let row = |key: &str, order: Option<&str>, refund: &str| {
        (partition_of(key), "refund".to_owned(), order.map(str::to_owned), Some(refund.to_owned()), Some(300))
    };
    assert_eq!(places, [row("o1", Some("o1"), "r1"), row("r2", None, "r2"), row("e3", None, "e3")]);
}

#[test]
fn an_offline_order_is_a_purchase_entry_and_only_orders_have_entries() {
    let order = json!({"id": "o", "currency": "EUR", "amount": 3});
    let out = run(&[
        event(json!({"id": "a", "type": "offline_order", "user": "u", "order": order})),
        event(json!({"id": "b", "type": "checkout_step", "device": "d", "checkout": {"step": 2}, "order": order})),
        page_view("c", "d"),
    ]);
    assert_eq!(
        orders(&out).iter().map(|(_, entry)| (entry.kind, entry.event_id)).collect::<Vec<_>>(),
        [("purchase", "a")]
    );
    assert_eq!(events(&out)[1].amount_minor, Some(300), "the amount of the step is on its event");
}

#[test]
fn a_reloaded_thank_you_page_is_another_event_of_the_same_order() {
    let purchase = |id: &str| {
        event(
            json!({"id": id, "type": "purchase", "device": "d", "order": {"id": "o", "currency": "EUR", "amount": 3}}),
        )
    };
    let out = run(&[purchase("e1"), purchase("e2"), purchase("e1")]);
    let entries = orders(&out);
    assert_eq!(entries.iter().map(|(_, entry)| entry.event_id).collect::<Vec<_>>(), ["e1", "e2"]);
    assert_eq!(entries[0].0, entries[1].0);
}

#[test]
fn unknown_fields_are_kept_among_the_properties() {
    let out = run(&[event(json!({"id": "e", "type": "add_to_cart", "device": "d", "colour": "red",
        "product": {"id": "p", "price": "19.99", "currency": "USD", "size": "L"}, "properties": {"gift": true}}))]);
    let event = &events(&out)[0];
    let properties: serde_json::Value = serde_json::from_str(event.properties.unwrap()).unwrap();
    assert_eq!(properties, json!({"gift": true, "colour": "red", "product.size": "L"}));
    assert_eq!(
        (event.currency, event.unit_price.map(|price| price.to_string())),
        (Some("USD"), Some("19.99".to_owned()))
    );
}
