//! On a public data set, found through MILLSTREAM_DATA: the credit notes of UCI Online Retail name no invoice.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use millstream_schemas::{Decimal, Id, Line, OrderEntry, OrderFact, RefundMatch, purposes};

use crate::buyer::{Buyer, Owner, apply, emit_matches};
use crate::orders::Orders;
use crate::site::Sites;
use crate::testing::{Recorder, context, decode};

/// The file, or `None` after noting that the test was skipped.
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test's data, not an operator's input")]
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

/// An invoice of a known customer; a credit note where its number begins with C.
#[derive(Debug, Default)]
struct Invoice {
    customer: String,
    /// "2010-12-01 08:26:00"; the earliest of its rows.
    written_at: String,
    /// Product, pieces, price.
    lines: Vec<(String, i64, Decimal)>,
}

/// Milliseconds since 1970 of "YYYY-MM-DD HH:MM:SS", as if it were UTC.
fn time_ms(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    // Days from the civil calendar, with March as the first month.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + part(11, 13)) * 60 + part(14, 16)) * 60_000
}

/// Invoices of known customers, cleaned: no negative quantity outside a credit note.
fn invoices(bytes: &[u8]) -> Vec<(String, Invoice)> {
    let mut invoices: BTreeMap<String, Invoice> = BTreeMap::new();
    for row in csv::Reader::from_reader(flate2::read::GzDecoder::new(bytes)).records() {
        let row = row.unwrap();
        let quantity: i64 = row[3].parse().unwrap();
        let is_credit_note = row[0].starts_with('C');
        if row[6].is_empty() || (quantity <= 0 && !is_credit_note) {
            continue;
        }
        let invoice = invoices.entry(row[0].to_owned()).or_default();
        invoice.customer = row[6].trim_end_matches(".0").to_owned();
        if invoice.written_at.is_empty() || invoice.written_at[..] > row[4] {
            invoice.written_at = row[4].to_owned();
        }
        invoice.lines.push((row[1].to_owned(), quantity.abs(), row[5].parse().unwrap()));
    }
    let mut invoices: Vec<_> = invoices.into_iter().collect();
    invoices.sort_by(|(a_no, a), (b_no, b)| (&a.written_at, a_no).cmp(&(&b.written_at, b_no)));
    invoices
}

/// An invoice's entry. Lines are whole pennies, but for some of orders, whose sums are exact enough here to be rounded once.
fn entry<'a>(number: &'a str, invoice: &'a Invoice) -> OrderEntry<'a> {
    let is_refund = number.starts_with('C');
    let lines = invoice.lines.iter().zip(1..).map(|((product, quantity, price), line_no)| Line {
        line_no,
        product_id: product,
        quantity: *quantity,
        unit_price: *price,
        amount_minor: price.times(*quantity).unwrap().to_minor_half_up(2),
        ..Line::default()
    });
    let sum = invoice.lines.iter().map(|(_, quantity, price)| price.times(*quantity).unwrap().mantissa()).sum();
    OrderEntry {
        site: "shop",
        kind: if is_refund { "refund" } else { "purchase" },
        order_id: (!is_refund).then_some(number),
        refund_id: is_refund.then_some(number),
        event_id: number,
        event_time: time_ms(&invoice.written_at),
        consent: purposes::NECESSARY,
        source: Some(Id::of(&[invoice.customer.as_bytes()])),
        person: Some(Id::of(&[invoice.customer.as_bytes()])),
        currency: Some("GBP"),
        amount_minor: Some(Decimal::from_mantissa(sum).unwrap().to_minor_half_up(2)),
        lines: lines.collect(),
        ..OrderEntry::default()
    }
}

#[test]
fn refunds_of_online_retail_match_as_counted_outside() {
    let test = "refunds_of_online_retail_match_as_counted_outside";
    let Some(bytes) = data(test, "online_retail/online_retail.csv.gz") else { return };
    let mut sites = Sites::new();
    sites.apply("shop", 1, 0, r#"{"currency":"GBP"}"#).unwrap();
    let (mut orders, mut out) = (Orders::new(), Recorder::default());
    let mut buyers: BTreeMap<Id, Buyer> = BTreeMap::new();
    for ((number, invoice), offset) in invoices(&bytes).iter().zip(1..) {
        let entry = entry(number, invoice);
        let mut body = Vec::new();
        entry.encode(&mut body);
        let mut told = Recorder::default();
        orders.on_entry(&entry, &body, &sites, &context(offset, 0, entry.event_time, number), &mut told);
        assert!(told.rejected.is_empty());
        for (_, body) in told.to_events {
            let fact: OrderFact<'_> = decode(&body);
            let buyer = buyers.entry(fact.person).or_default();
            let changed = apply(buyer, &fact, |_, _| panic!("nothing is too old or too much"));
            let owner = Owner { site: "shop", person: fact.person, user_id: None };
            emit_matches(&changed, buyer, &owner, &context(offset, 0, fact.event_time, number), &mut out);
        }
    }
    out.assert_one_output_per_key_and_revision();
    let (mut lines, mut whole, mut part, mut unmatched_minor) = (0, 0, 0, 0);
    for body in out.current("refund_matches").values() {
        let row: RefundMatch<'_> = decode(body);
        assert_eq!(row.matched_minor + row.unmatched_minor, row.amount_minor);
        lines += 1;
        whole += usize::from(row.matched_quantity == 0);
        part += usize::from(row.matched_quantity > 0 && row.unmatched_quantity > 0);
        unmatched_minor += row.unmatched_minor;
    }
    assert_eq!((lines, whole, part, unmatched_minor), (8_905, 1_335, 54, 13_737_363));
    let all = || buyers.values();
    let net: i64 = all().flat_map(|buyer| &buyer.orders).filter_map(|order| order.net_reporting_minor()).sum();
    let posted: i64 =
        all().flat_map(|buyer| &buyer.refunds).filter_map(|refund| refund.unmatched_reporting_minor()).sum();
    assert_eq!((net - posted, posted), (830_006_581, 13_737_363));
    assert_eq!(all().map(|buyer| buyer.orders.len()).sum::<usize>(), 18_536);
}
