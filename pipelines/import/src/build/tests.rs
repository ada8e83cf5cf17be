#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{ImportOptions, Mapping, Prepared, prepare};

const ORDERS: &str = r#"data_set = "d"
site = "s"
[time]
column = "at"
zone = "Europe/London"
format = "%Y-%m-%d %H:%M:%S"
[[rule]]
when = [{ column = "qty", less_than = 0 }]
reject = "negative quantity"
[[rule]]
when = [{ column = "no", starts_with = "T" }, { column = "who", empty = true }]
skip = true
[[rule]]
event = "order"
[event.order]
type = "purchase"
group_by = "{no}"
user = "{who}"
page.url = "https://s/{no}"
order.id = "{no}"
order.currency = { column = "cur", default = "GBP" }
lines.product_id = "{sku}"
lines.name = "{name}"
lines.quantity = "{qty}"
lines.price = "{price}"
"#;

fn prepared(mapping: &str, files: &[(&str, &str)], options: &ImportOptions) -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, content)| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        })
        .collect();
    let mapping = Mapping::parse("m.toml", mapping).unwrap();
    prepare(&mapping, &paths, None, options, &mut |_| {}).unwrap()
}

fn orders(rows: &str) -> Prepared {
    let content = format!("at,no,who,sku,name,qty,price,cur\n{rows}");
    prepared(ORDERS, &[("d.csv", &content)], &ImportOptions::default())
}

fn events(prepared: &Prepared) -> Vec<Value> {
    prepared.events.iter().map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
}

fn rejections(prepared: &Prepared) -> Vec<String> {
    prepared
        .rejected
        .iter()
        .map(|row| format!("{}: {} ({}): {}", row.line, row.reason, row.field.as_deref().unwrap_or(""), row.detail))
        .collect()
}

#[test]
fn rows_of_one_key_become_one_event_wherever_they_stand() {
    let prepared = orders(
        "2011-07-01 10:00:00,7,ann,a,\"the \"\"a\"\"\",3,2.50,\n\
         2011-01-01 09:00:00,8,,b,,1,1,\n\
         2011-07-01 09:59:00,7,ann,c,,1,0.333,\n",
    );
    let events = events(&prepared);
    assert_eq!(
        prepared.events.iter().map(|event| (event.time_ms, event.line)).collect::<Vec<_>>(),
        [(1_293_872_400_000, 3), (1_309_510_740_000, 2)]
    );
    let id = events[1]["id"].as_str().unwrap();
    assert_eq!(id, super::group_id("d", "order", "7").to_string());
    assert_eq!(
        events[1],
        json!({"id": id, "time": "2011-07-01T08:59:00.000Z", "type": "purchase", "user": "ann", "page": {"url": "https://s/7"},
            "order": {"id": "7", "currency": "GBP", "amount": 7.83, "lines": [
                {"product_id": "a", "name": "the \"a\"", "quantity": 3, "price": 2.5, "amount": 7.5},
                {"product_id": "c", "quantity": 1, "price": 0.333, "amount": 0.33}]}})
    );
    assert_eq!(&*prepared.events[0].key, b"s\0o\08");
    assert_eq!(&*prepared.events[1].key, b"s\0u\0ann");
}

#[test]
fn order_and_lines_agree_to_the_last_penny() {
    let prepared = orders(
        "2011-07-01 10:00:00,7,ann,a,,1,0.335,\n2011-07-01 10:00:00,7,ann,b,,1,0.334,\n2011-07-01 10:00:00,7,ann,c,,1,0.336,\n",
    );
    let event = &events(&prepared)[0]["order"];
    assert_eq!(event["amount"], json!(1.01));
    let lines: Vec<_> = event["lines"].as_array().unwrap().iter().map(|line| line["amount"].to_string()).collect();
    assert_eq!(lines, ["0.34", "0.33", "0.34"]);
}

#[test]
fn minor_units_are_the_currencys() {
    let prepared = orders("2011-07-01 10:00:00,7,ann,a,,3,33.5,JPY\n2011-07-01 10:00:00,8,ann,a,,3,33.4,XXX\n");
    assert_eq!(events(&prepared)[0]["order"]["amount"].to_string(), "101");
    assert_eq!(rejections(&prepared), ["3: unknown_currency (order.currency): `XXX` is no ISO 4217 code in use"]);
}

#[test]
fn bad_rows_are_rejected_one_by_one_and_leave_the_rest_of_their_group() {
    let prepared = orders(
        "2011-07-01 10:00:00,7,ann,a,,1,1,\n\
         2011-07-01 10:00:00,7,ann,a,,-1,1,\n\
         2011-07-01 10:00:00,7,ann,a,,x,1,\n\
         2011-07-01 10:00:00,7,ann,a,,0,1,\n\
         2011-07-01 10:00:00,7,ann,a,,1,-1,\n\
         2011-07-01 10:00:00,7,ann,a,,1,1e99,\n\
         yesterday,7,ann,a,,1,1,\n\
         ,7,ann,a,,1,1,\n\
         2011-07-01 10:00:00,7,bob,a,,1,1,\n\
         2011-07-01 10:00:00,T1,,a,,1,1,\n\
         2011-07-01 10:00:00,,ann,a,,1,1,\n\
         too,short\n\
         2011-07-01 10:00:00,7,ann,z,,1,1,\n",
    );
    assert_eq!((prepared.rows, prepared.skipped, prepared.events.len()), (13, 1, 1));
    assert_eq!(events(&prepared)[0]["order"]["lines"].as_array().unwrap().len(), 2);
    assert_eq!(
        rejections(&prepared),
        [
            "3: mapping_rule (): negative quantity",
            "4: invalid_amount (): `x`: not a decimal number",
            "5: invalid_quantity (lines.quantity): `0` is no whole number above zero",
            "6: negative_amount (lines.price): -1 is below zero",
            "7: invalid_amount (lines.price): `1e99`: more than 12 digits before the point",
            "8: invalid_time (time): `yesterday` is not written as `%Y-%m-%d %H:%M:%S`",
            "9: missing_field (time): the row has no time",
            "10: mapping_rule (): device, user or order differ from line 2, which has the same group key `7`",
            "12: missing_field (group_by): the row has no group key",
            "13: unreadable_row (): 2 fields, the header has 8",
        ]
    );
    assert_eq!(&*prepared.rejected[9].raw, b"too,short");
    assert_eq!(prepared.rejected[0].time_ms, Some(1_309_510_800_000));
    assert_eq!(prepared.rejected[5].time_ms, None);
}

#[test]
fn every_reason_is_one_of_the_catalogue() {
    let catalogue = include_str!("../../../../schemas/catalogue/reasons.toml");
    let sources = [
        include_str!("rows.rs"),
        include_str!("fields.rs"),
        include_str!("../read/csv.rs"),
        include_str!("../read/json_lines.rs"),
        include_str!("../mapping/time.rs"),
        include_str!("../mapping/value.rs"),
    ];
    let mut found = 0;
    for source in sources {
        for marker in ["Reject::new(\"", "reason: \"", "Reject::new(\n            \"", "(\"wrong", "(\"unknown"] {
            for rest in source.split(marker).skip(1) {
                let reason = rest.split('"').next().unwrap();
                let reason = match marker {
                    "(\"wrong" => format!("wrong{reason}"),
                    "(\"unknown" => format!("unknown{reason}"),
                    _ => reason.to_owned(),
                };
                found += 1;
                assert!(catalogue.contains(&format!("name = \"{reason}\"")), "{reason} is not in the catalogue");
            }
        }
    }
    assert!(found >= 20, "only {found} reasons were found in the sources");
}

#[test]
fn events_too_large_to_write_are_rejected() {
    let options = ImportOptions { event_limit_bytes: 300, ..ImportOptions::default() };
    let row = "2011-07-01 10:00:00,7,ann,a,,1,1,\n";
    let content = format!("at,no,who,sku,name,qty,price,cur\n{}{}", row.repeat(9), row.replace(",7,", ",8,"));
    let prepared = prepared(ORDERS, &[("d.csv", &content)], &options);
    assert_eq!((prepared.events.len(), prepared.rejected.len()), (1, 1));
    assert_eq!((prepared.rejected[0].line, prepared.rejected[0].reason.as_str()), (2, "too_long"));
}

#[test]
fn ids_come_from_the_place_and_never_from_content() {
    let mapping = "data_set = \"d\"\nsite = \"s\"\n[time]\ncolumn = \"t\"\nformat = \"epoch_s\"\n[event.v]\ntype = \"page_view\"\nid = \"{id}\"\n";
    let files = [("a.csv", "t,id\n5,\n5,\n5,mine\n"), ("b.csv", "t,id\n4,\n5,\n")];
    let prepared = prepared(mapping, &files, &ImportOptions::default());
    let ids: Vec<String> = events(&prepared).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let row = |file: &str, line: u64| super::row_id("d", file, line).to_string();
    // In order of time, then file, then line.
    assert_eq!(ids, [row("b.csv", 2), row("a.csv", 2), row("a.csv", 3), "mine".to_owned(), row("b.csv", 3)]);
    assert_eq!(&*prepared.events[3].key, b"s\0e\0mine");
    assert_eq!(prepared.duplicates, 0);
}

#[test]
fn of_events_with_one_id_the_earliest_stays() {
    let mapping = "data_set = \"d\"\nsite = \"s\"\n[time]\ncolumn = \"t\"\nformat = \"epoch_s\"\n[event.v]\ntype = \"page_view\"\nid = \"{id}\"\n";
    let prepared = prepared(mapping, &[("a.csv", "t,id\n7,x\n5,x\n6,x\n5,y\n")], &ImportOptions::default());
    assert_eq!(
        prepared.events.iter().map(|event| (event.time_ms, event.line)).collect::<Vec<_>>(),
        [(5_000, 3), (5_000, 5)]
    );
    assert_eq!((prepared.rows, prepared.duplicates), (4, 2));
}

#[test]
fn times_in_the_clocks_gap_and_fold_are_defined() {
    let times = |rows: &str| -> Vec<i64> { orders(rows).events.iter().map(|event| event.time_ms).collect() };
    // 2011-03-27 01:30 did not exist in London; 2011-10-30 01:30 came twice.
    assert_eq!(times("2011-03-27 01:30:00,7,,a,,1,1,\n"), [1_301_189_400_000]);
    assert_eq!(times("2011-10-30 01:30:00,7,,a,,1,1,\n"), [1_319_934_600_000]);
}

#[test]
fn what_a_value_can_do() {
    let mapping = "data_set = \"d\"\nsite = \"s\"\n[time]\ncolumn = \"t\"\n[event.v]\ntype = \"page_view\"\n\
        user = { column = \"a\", trim = true, strip_suffix = \".0\", strip_prefix = \"u-\" }\n\
        name = { template = \"<{a}>{{}}\", upper = true, first_chars = 4 }\n\
        session = { column = \"j\", json = \"/0/id\", lower = true, default = \"{@file}:{@line}\" }\n\
        language = { column = \"l\", map = { deutsch = \"de\" } }\n\
        sequence = { column = \"n\", abs = true }\n\
        consent = { analytics = \"{c}\", advertising = false }\n\
        country = { column = \"nowhere\", optional = true }\n\
        properties.x = { column = \"n\", negate = true }\n";
    let content = "t,a,j,l,n,c\n\
        2020-01-01T00:00:00Z,\" u-7.0\",\"[{\"\"id\"\":\"\"ABC\"\"}]\",deutsch,-5,1\n\
        2020-01-01T01:00:00+01:00,,,en,3,0\n\
        2020-01-01 00:00:01,,{,en,3,0\n";
    let prepared = prepared(mapping, &[("d.csv", content)], &ImportOptions::default());
    let events = events(&prepared);
    let mut first = events[0].clone();
    first.as_object_mut().unwrap().remove("id");
    assert_eq!(
        first,
        json!({"time": "2020-01-01T00:00:00.000Z", "type": "page_view", "user": "7", "name": "< U-", "session": "abc", "language": "de",
            "sequence": 5, "consent": {"analytics": true, "advertising": false}, "properties": {"x": "5"}})
    );
    assert_eq!(
        (&events[1]["session"], &events[1]["name"], &events[1]["language"]),
        (&json!("d.csv:3"), &Value::Null, &json!("en"))
    );
    assert_eq!(prepared.rejected[0].reason, "invalid_json");
}

#[test]
fn memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    std::fs::write(&path, format!("t\n{}", "5\n".repeat(1000))).unwrap();
    let mapping = "data_set = \"d\"\nsite = \"s\"\n[time]\ncolumn = \"t\"\nformat = \"epoch_s\"\n[event.v]\ntype = \"page_view\"\n";
    let mapping = Mapping::parse("m.toml", mapping).unwrap();
    let options = ImportOptions { memory_limit_bytes: 10_000, ..ImportOptions::default() };
    let told = prepare(&mapping, &[path], None, &options, &mut |_| {}).unwrap_err().to_string();
    assert!(told.contains("need more than memory_limit_bytes = 10000") && told.contains("d.csv, line "), "{told}");
}
