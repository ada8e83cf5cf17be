//! On a public sample, found through MILLSTREAM_DATA: sessions and orders of a real shop, by numbers counted outside.

use std::io::{Read, Write};
use std::path::PathBuf;

use millstream_schemas::{Event, Id, OrderEntry};

use super::world::{SITE, World};

/// The file, or `None` after noting that the test was skipped.
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test's data, not the stage's input")]
fn data(test: &str, file: &str) -> Option<Vec<u8>> {
    let found = std::env::var("MILLSTREAM_DATA").ok().map(|folder| PathBuf::from(folder).join(file));
    if let Some(bytes) = found.and_then(|path| std::fs::read(path).ok()) {
        return Some(bytes);
    }
    let reason = format!("{test}: MILLSTREAM_DATA has no {file}");
    std::io::stderr().write_all(format!("skipped {reason}\n").as_bytes()).unwrap();
    if let Ok(log) = std::env::var("MILLSTREAM_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(log, "{reason}").unwrap();
    }
    None
}

/// Milliseconds of "2019-10-01 HH:MM:SS UTC"; the sample is of one night.
fn time_ms(text: &str) -> i64 {
    let part = |at: usize| text[at..at + 2].parse::<i64>().unwrap();
    assert!(text.starts_with("2019-10-01 "));
    1_569_888_000_000 + (part(11) * 3_600 + part(14) * 60 + part(17)) * 1_000
}

#[test]
fn the_rees46_sample_has_its_sessions_and_orders() {
    let name = "the_rees46_sample_has_its_sessions_and_orders";
    let Some(bytes) = data(name, "rees46_sample/2019-Oct_first17434.csv.gz") else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let mut world = World::new(3);
    let mut last_ms = 0;
    for (line, row) in text.lines().enumerate().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let (event_time, user, event_id) = (time_ms(columns[0]), columns[7], format!("row-{line}"));
        let amount_minor = (columns[6].parse::<f64>().unwrap() * 100.0).round() as i64;
        let is_purchase = columns[1] == "purchase";
        let event = Event {
            site: SITE,
            event_id: &event_id,
            event_type: match columns[1] {
                "view" => "product_view",
                "cart" => "add_to_cart",
                other => other,
            },
            event_time,
            consent: 7,
            source: Some(Id::of(&[b"source", user.as_bytes()])),
            person: Some(Id::of(&[b"person", user.as_bytes()])),
            order_id: Some(&*event_id).filter(|_| is_purchase),
            amount_minor: Some(amount_minor).filter(|_| is_purchase),
            currency: Some("USD").filter(|_| is_purchase),
            ..Event::default()
        };
        world.event(&event);
        if is_purchase {
            world.order_entry(&OrderEntry {
                site: SITE,
                kind: "purchase",
                order_id: event.order_id,
                event_id: event.event_id,
                event_time,
                consent: 7,
                source: event.source,
                person: event.person,
                currency: event.currency,
                amount_minor: event.amount_minor,
                ..OrderEntry::default()
            });
        }
        last_ms = last_ms.max(event_time);
    }
    world.watermark(last_ms);
    world.drain();
    let view = world.view();
    let of = |topic: u16| view.iter().filter(move |((other, _), _)| *other == topic).map(|(_, row)| row);
    assert_eq!(of(0).count(), 4_518, "sessions by a gap of 30 minutes a user");
    assert_eq!(of(0).filter(|row| row.contains("state: \"closed\"")).count(), 631);
    let number = |row: &str, field: &str| -> i64 {
        let (_, rest) = row.split_once(&format!(" {field}: ")).unwrap();
        rest[..rest.find(',').unwrap()].parse().unwrap()
    };
    let sum = |topic: u16, field: &str| of(topic).map(|row| number(row, field)).sum::<i64>();
    assert_eq!((sum(0, "events"), sum(0, "purchases"), sum(0, "revenue_minor")), (17_434, 214, 5_944_263));
    assert_eq!((of(2).count(), sum(2, "amount_minor")), (214, 5_944_263));
    assert!(world.rejected().is_empty());
}
