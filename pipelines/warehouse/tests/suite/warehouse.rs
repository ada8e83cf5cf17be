//! Queries, other logs' files, and reading Parquet for imports.

use millstream_deliver::{DeliverError, QueryFormat, delivered_records, views::ANALYST_VIEWS};
use millstream_warehouse::{WarehouseError, open_parquet};

use crate::Folder;
use crate::support::Engine;
use crate::support::records::{full_event, score, session};
use crate::support::world::World;

fn answer(folder: &Folder, sql: &str, format: QueryFormat) -> String {
    let mut out = Vec::new();
    folder.warehouse().query(sql, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_empty_warehouse_has_all_tables_and_views() {
    let folder = Folder::new();
    for (_, table) in delivered_records() {
        assert_eq!(folder.number(&format!("SELECT count(*) FROM {table}")), 0);
        assert_eq!(folder.number(&format!("SELECT count(*) FROM {table}_current")), 0);
    }
    for view in ANALYST_VIEWS {
        assert_eq!(folder.number(&format!("SELECT count(*) FROM {}", view.name)), 0);
    }
    assert_eq!(answer(&folder, "SELECT site FROM events", QueryFormat::Csv), "site\n");
    assert_eq!(answer(&folder, "SELECT site FROM events", QueryFormat::Json), "[]\n");
}

#[test]
fn columns_are_the_fields_and_the_place_in_the_log() {
    let folder = Folder::new();
    for (schema, table) in delivered_records() {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        );
        let columns: Vec<String> = folder.rows(&sql).into_iter().map(|mut row| row.remove(0).unwrap()).collect();
        let fields = schema.fields.iter().map(|field| field.name).chain(["log_partition", "log_offset"]);
        assert_eq!(columns, fields.collect::<Vec<_>>(), "{table}");
    }
}

#[test]
fn answers_come_in_three_formats() {
    let (world, folder) = (World::new(), Folder::new());
    world.append(&[("sessions", 0, session("a", 1, 1, false)), ("scores.propensity", 0, score("a", 1, 0.5))]);
    world.append(&[("events", 0, full_event("e1"))]);
    world.deliver(folder.sink());
    let sql = "SELECT page_views, user_id, started_at FROM sessions";
    assert_eq!(answer(&folder, sql, QueryFormat::Csv), "page_views,user_id,started_at\n1,,2019-10-18T12:00:00.123Z\n");
    let json = "[{\"page_views\":1,\"user_id\":null,\"started_at\":\"2019-10-18T12:00:00.123Z\"}]\n";
    assert_eq!(answer(&folder, sql, QueryFormat::Json), json);
    let boxes = answer(&folder, sql, QueryFormat::Table);
    assert!(boxes.contains("| page_views |") && boxes.contains("2019-10-18T12:00:00.123Z"), "{boxes}");
    // Everything there is, in every format: lists and nested records too.
    for format in [QueryFormat::Csv, QueryFormat::Json, QueryFormat::Table] {
        let all = answer(&folder, "SELECT * FROM events", format);
        assert!(all.contains("p-2") && all.contains("999999999999.999999"), "{all}");
    }
    assert!(answer(&folder, "SELECT reasons FROM scores_propensity", QueryFormat::Csv).contains("cart_adds"));
}

#[test]
fn what_is_no_question_is_refused() {
    let folder = Folder::new();
    let elsewhere = folder.0.path().join("copy.csv");
    for sql in [
        "SELECT nonsense FROM events".to_owned(),
        "DROP TABLE events".to_owned(),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        format!("COPY (SELECT 1) TO '{}'", elsewhere.display()),
        "SELECT 1; SELECT 2".to_owned(),
    ] {
        let error = folder.warehouse().query(&sql, QueryFormat::Csv, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, WarehouseError::Query(_)), "{sql}: {error}");
    }
    assert!(!elsewhere.exists());
}

#[test]
fn another_logs_warehouse_is_not_added_to() {
    let folder = Folder::new();
    let first = World::new();
    first.append(&[("sessions", 0, session("a", 1, 1, false))]);
    first.deliver(folder.sink());
    let second = World::new();
    second.append(&[("sessions", 0, session("b", 1, 1, false))]);
    let mut deliverer = second.deliverer(folder.sink(), second.config());
    let error = second.deliver_all(&mut deliverer).unwrap_err();
    assert!(matches!(&error, DeliverError::Conflict { why, .. } if why.contains("another log")), "{error}");
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 1);
}

#[test]
fn parquet_is_read_as_text_for_imports() {
    let (world, folder) = (World::new(), Folder::new());
    let records: Vec<_> =
        (0..3_000i64).map(|n| ("sessions", 0, session(&n.to_string(), n + 1, n, n % 2 == 0))).collect();
    for chunk in records.chunks(1_000) {
        world.append(chunk);
    }
    world.deliver(folder.sink());
    let file = folder.0.path().join("sessions").join(&folder.files("sessions")[0]);
    let rows = open_parquet(&file).unwrap();
    let at = |name: &str| rows.columns().iter().position(|column| column == name).unwrap();
    let (views, started, user, retracted) = (at("page_views"), at("started_at"), at("user_id"), at("retracted"));
    let mut read = 0i64;
    for row in rows {
        let row = row.unwrap();
        assert_eq!(row[views], Some(read.to_string()));
        assert_eq!(row[started].as_deref(), Some("2019-10-18T12:00:00.123Z"));
        assert_eq!(
            (row[user].clone(), row[retracted].as_deref()),
            (None, Some(if read % 2 == 0 { "true" } else { "false" }))
        );
        read += 1;
    }
    assert_eq!(read, 3_000);
    let none = open_parquet(&folder.0.path().join("none.parquet")).err().unwrap();
    assert!(none.to_string().contains("none.parquet"), "{none}");
    std::fs::write(folder.0.path().join("bad.parquet"), b"not parquet at all").unwrap();
    assert!(matches!(open_parquet(&folder.0.path().join("bad.parquet")), Err(WarehouseError::Parquet { .. })));
}
