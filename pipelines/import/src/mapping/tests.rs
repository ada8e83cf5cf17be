#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::fields::EVENT_TYPES;
use super::*;

const GOOD: &str = r#"data_set = "d"
site = "s"
[time]
column = "at"
zone = "Europe/London"
format = "%Y-%m-%d %H:%M:%S"
[event.view]
type = "product_view"
user = "{who}"
product.id = { column = "what", trim = true }
"#;

fn error(text: &str) -> String {
    Mapping::parse("m.toml", text).unwrap_err().to_string()
}

#[test]
fn names_the_columns_it_needs() {
    let mapping = Mapping::parse("m.toml", GOOD).unwrap();
    assert_eq!(mapping.columns().collect::<Vec<_>>(), ["at", "what", "who"]);
    assert_eq!((mapping.data_set(), mapping.site()), (Some("d"), Some("s")));
}

#[test]
fn tells_the_line_and_column_that_is_wrong() {
    for (from, to, place, words) in [
        ("data_set = \"d\"", "data_set = ", "m.toml:1:", ""),
        ("site = \"s\"", "sight = \"s\"", "m.toml:2:1: ", "unknown key `sight`; known here: data_set, site"),
        ("Europe/London", "Europe/Londn", "m.toml:5:8: ", "`Europe/Londn` is no IANA time zone"),
        (
            "\"product_view\"",
            "\"produkt_view\"",
            "m.toml:8:8: ",
            "unknown event type `produkt_view`; known: page_view, ",
        ),
        ("product.id", "produkt.id", "m.toml:10:1: ", "events have no field `produkt`; known here: sequence, device"),
        (
            "product.id",
            "product.ident",
            "m.toml:10:9: ",
            "events have no field `product.ident`; known here: product.id",
        ),
        ("trim = true", "trim = 1", "m.toml:10:40: ", "`trim` must be true or false, not integer"),
        ("\"{who}\"", "\"{who\"", "m.toml:9:8: ", "a brace stands alone"),
        ("\"{who}\"", "\"{@row}\"", "m.toml:9:8: ", "{@row} is unknown"),
        ("{ column = \"what\", trim = true }", "{ trim = true }", "m.toml:10:14: ", "exactly one of `column`"),
        ("format = \"%Y-%m-%d %H:%M:%S\"", "format = \"rfc\"", "m.toml:6:10: ", "`format` is iso, epoch_s"),
    ] {
        let told = error(&GOOD.replacen(from, to, 1));
        assert!(told.starts_with(place) && told.contains(words), "{from} → {to}: {told}");
    }
}

#[test]
fn refuses_rules_that_lead_nowhere() {
    let with = |rules: &str| error(&format!("{GOOD}{rules}"));
    assert!(with("[[rule]]\nevent = \"vue\"\n").contains("m.toml:12:9: there is no table [event.vue]"));
    assert!(with("[[rule]]\nskip = true\n").contains("no rule leads to [event.view]"));
    assert!(with("[[rule]]\nevent = \"view\"\nskip = true\n").contains("exactly one of `event"));
    assert!(with("[[rule]]\nevent = \"view\"\nwhen = [{ column = \"a\" }]\n").contains("exactly one test of: equals"));
    assert!(
        with("[[rule]]\nevent = \"view\"\nwhen = [{ column = \"a\", less_than = \"x\" }]\n")
            .contains("`less_than`: `x`")
    );
    assert!(with("[event.b]\ntype = \"click\"\n").contains("several events need [[rule]]s"));
    assert!(error("[time]\ncolumn = \"t\"\n").contains("there is no table [event.NAME]"));
    assert!(error("[event.a]\ntype = \"click\"\n").contains("the table [time] is missing"));
}

#[test]
fn a_group_needs_lines_and_lines_an_order() {
    let event = |text: &str| error(&format!("[time]\ncolumn = \"t\"\n[event.a]\n{text}"));
    assert!(event("type = \"click\"\ngroup_by = \"{a}\"\n").contains("`group_by` needs `lines`"));
    assert!(event("type = \"click\"\nlines.price = 1\n").contains("an event of type click has no lines"));
    let lines = "lines.product_id = \"{p}\"\nlines.quantity = 1\nlines.price = \"{p}\"\n";
    assert!(
        event(&format!("type = \"purchase\"\norder.id = \"{{o}}\"\n{lines}")).contains("`order.currency` is missing")
    );
    assert!(event("type = \"purchase\"\nlines.product_id = 1\n").contains("`lines.quantity` is missing"));
}

#[test]
fn columns_that_are_not_there_are_named_with_those_that_are() {
    let mapping = Mapping::parse("m.toml", GOOD).unwrap();
    let header: Vec<String> = ["at", "who", "waht"].map(str::to_owned).to_vec();
    let told = mapping.columns.bind("d.csv", &header).unwrap_err().to_string();
    assert_eq!(told, "m.toml:10:25: d.csv has no column `what`; its columns are: at, who, waht");
    let twice: Vec<String> = ["at", "who", "what", "who"].map(str::to_owned).to_vec();
    assert!(mapping.columns.bind("d.csv", &twice).unwrap_err().to_string().contains("several columns `who`"));
}

/// The field list here and the event catalogue may not drift apart.
#[test]
fn knows_every_field_and_type_of_the_catalogue_and_no_other() {
    let catalogue: toml::Table = include_str!("../../../../schemas/catalogue/event-v1.toml").parse().unwrap();
    let list = |value: &toml::Value| value.as_array().unwrap().clone();
    let text = |value: &toml::Value, key: &str| value.get(key).and_then(|v| v.as_str()).unwrap_or("").to_owned();
    let types: Vec<String> = list(&catalogue["types"]).iter().map(|ty| text(ty, "name")).collect();
    assert_eq!(types, EVENT_TYPES);
    let groups = list(&catalogue["groups"]);
    let fields_of = |name: &str| list(&groups.iter().find(|group| text(group, "name") == name).unwrap()["fields"]);
    let mut wanted = Vec::new();
    for field in list(&catalogue["fields"]) {
        let name = text(&field, "name");
        match text(&field, "kind").as_str() {
            "group" => {
                let inner = fields_of(&name);
                let inner = inner.iter().filter(|field| text(field, "kind") != "lines");
                wanted.extend(inner.map(|field| (format!("{name}.{}", text(field, "name")), text(field, "kind"))));
            }
            "consent" => wanted.extend(
                ["necessary", "analytics", "personalization", "advertising"]
                    .map(|p| (format!("consent.{p}"), "flag".to_owned())),
            ),
            // Made by the import itself, or written as a whole.
            _ if ["id", "type", "time", "properties"].contains(&name.as_str()) => {}
            kind => wanted.push((name, kind.to_owned())),
        }
    }
    let kind_name = |kind: &Kind| match kind {
        Kind::Text => "string",
        Kind::Integer => "long",
        Kind::Decimal => "decimal",
        Kind::Flag => "flag",
        Kind::Currency => "currency",
    };
    let sorted = |mut fields: Vec<(String, String)>| {
        fields.sort();
        fields
    };
    let ours = fields::all().iter().map(|(name, kind)| ((*name).to_owned(), kind_name(kind).to_owned())).collect();
    assert_eq!(sorted(ours), sorted(wanted));
    let lines = fields_of("line").iter().map(|field| (text(field, "name"), text(field, "kind"))).collect();
    let ours =
        fields::LINE_FIELDS.iter().map(|(name, kind)| ((*name).to_owned(), kind_name(kind).to_owned())).collect();
    assert_eq!(sorted(ours), sorted(lines));
}
