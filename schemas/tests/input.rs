//! The input catalogue: what is read, what is corrected, and every kind of bad input with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millstream_schemas::input::*;
use millstream_schemas::input_key::input_key;
use millstream_schemas::purposes;
use proptest::prelude::*;
use std::borrow::Cow;

/// A purchase as a shop sends it, with one unknown field of each kind.
const PURCHASE: &str = r#"{
  "id": "e-1", "type": "purchase", "time": "2026-11-21T16:37:23.123Z", "sequence": 7, "device": "d-1", "user": "u-1",
  "session": "s-1", "language": "de-CH", "country": "CH", "user_agent": "Mozilla/5.0",
  "page": {"url": "https://shop.example/thanks?utm_source=x", "title": "Danke \"schön\" \u00fc\ud83d\ude00", "referrer": null, "view_id": "v", "author": 5},
  "campaign": {"source": "news", "medium": "email", "name": "autumn", "term": "", "content": "top"},
  "order": {"id": "o-1", "amount": "59.90", "currency": "eur", "tax": 9.56, "shipping": 0, "discount": 1e1, "coupon": "TEN",
    "lines": [{"product_id": "p-1", "name": "Shirt", "category": "clothes", "quantity": 2, "price": 23.799999999999997, "amount": 47.6, "cost": 20, "size": "M"},
              {"product_id": "p-2", "price": 12.3}]},
  "consent": {"analytics": true, "advertising": false, "telepathy": true},
  "properties": {"plan": "gold", "shop": 1}, "shop": 2, "tags": ["a", {"b": null}]
}"#;

fn error(payload: &str) -> (Reason, String) {
    let Err(error) = parse_event(payload.as_bytes()) else {
        panic!("accepted: {}", &payload[..payload.len().min(200)])
    };
    assert!(!error.detail.is_empty());
    (error.reason, error.field.into_owned())
}

#[test]
fn a_purchase_is_read_in_full() {
    let event = parse_event(PURCHASE.as_bytes()).unwrap();
    assert_eq!(
        (&*event.id, event.event_type, event.time, event.sequence),
        ("e-1", EventType::Purchase, Some(1_795_279_043_123), Some(7))
    );
    assert!(matches!(event.id, Cow::Borrowed(_)));
    assert_eq!(
        (event.device.as_deref(), event.user.as_deref(), event.session.as_deref()),
        (Some("d-1"), Some("u-1"), Some("s-1"))
    );
    assert_eq!((event.language.as_deref(), event.country.as_deref()), (Some("de-CH"), Some("CH")));
    let page = event.page.as_ref().unwrap();
    assert_eq!(page.title.as_deref(), Some("Danke \"schön\" ü😀"));
    assert_eq!((page.referrer.as_deref(), page.view_id.as_deref()), (None, Some("v")));
    let campaign = event.campaign.as_ref().unwrap();
    assert_eq!((campaign.name.as_deref(), campaign.term.as_deref()), (Some("autumn"), None));

    let order = event.order.as_ref().unwrap();
    let amounts = [order.amount, order.tax, order.shipping, order.discount].map(|amount| amount.unwrap().to_string());
    assert_eq!(amounts, ["59.9", "9.56", "0", "10"]);
    assert_eq!((order.currency, order.coupon.as_deref(), order.lines.len()), (Some("EUR"), Some("TEN"), 2));
    assert_eq!(order.lines[0].price.unwrap().to_string(), "23.8");
    assert_eq!((order.lines[0].quantity, order.lines[1].quantity, &*order.lines[1].product_id), (Some(2), None, "p-2"));

    assert_eq!(event.consent, Some(purposes::NECESSARY | purposes::ANALYTICS));
    let extra: Vec<(&str, &str)> = event.extra.iter().map(|extra| (&*extra.path, extra.json)).collect();
    assert_eq!(
        extra,
        [
            ("page.author", "5"),
            ("order.lines[1].size", "\"M\""),
            ("consent.telepathy", "true"),
            ("shop", "2"),
            ("tags", "[\"a\", {\"b\": null}]"),
        ]
    );
    assert_eq!(
        event.all_properties().unwrap(),
        r#"{"plan": "gold", "shop": 1,"page.author":5,"order.lines[1].size":"M","consent.telepathy":true,"event.shop":2,"tags":["a", {"b": null}]}"#
    );
}

#[test]
fn the_least_that_every_type_needs_is_enough() {
    let needs = [
        ("page_view", ""),
        ("page_ping", ""),
        ("click", ""),
        ("search", r#","search":{"query":"q"}"#),
        ("product_view", r#","product":{"id":"p"}"#),
        ("list_view", ""),
        ("add_to_cart", r#","product":{"id":"p"}"#),
        ("remove_from_cart", r#","product":{"id":"p"}"#),
        ("checkout_step", r#","checkout":{"step":1}"#),
        ("purchase", r#","order":{"id":"o","currency":"JPY","amount":0}"#),
        ("refund", r#","refund":{"currency":"EUR","lines":[{"product_id":"p","amount":1}]}"#),
        ("identify", r#","user":"u""#),
        ("logout", ""),
        ("consent", r#","consent":[]"#),
        ("experiment_exposure", r#","experiment":{"id":"x","variation":"b"}"#),
        ("offline_order", r#","order":{"id":"o","currency":"EUR","lines":[{"product_id":"p","price":"1.5"}]}"#),
        ("offline_touch", r#","touch":{"channel":"call_centre"}"#),
        ("spend", r#","spend":{"channel":"paid_search","amount":3,"currency":"EUR"}"#),
        ("custom", r#","name":"wish""#),
    ];
    assert_eq!(needs.len(), EventType::ALL.len());
    for (name, fields) in needs {
        let event = format!(r#"{{"id":"e","type":"{name}"{fields}}}"#);
        assert_eq!(parse_event(event.as_bytes()).map(|event| event.event_type.as_str()), Ok(name));
        if !fields.is_empty() {
            let (reason, field) = error(&format!(r#"{{"id":"e","type":"{name}"}}"#));
            assert_eq!(reason, Reason::MissingField);
            assert!(fields.contains(field.split('.').next().unwrap()), "{name}: {field}");
        }
    }
}

#[test]
fn bad_input_has_a_reason_and_a_place() {
    use Reason::*;
    let event = |fields: &str| format!(r#"{{"id":"e","type":"custom","name":"n",{fields}}}"#);
    let long = |len: usize| "x".repeat(len);
    let lines = |count: usize| vec![r#"{"product_id":"p","price":1}"#; count].join(",");
    let cases: Vec<(String, Reason, &str)> = vec![
        ("".into(), InvalidJson, ""),
        ("{".into(), InvalidJson, ""),
        ("nonsense".into(), InvalidJson, ""),
        (r#"{"id":"e"} x"#.into(), InvalidJson, ""),
        (r#"{"id":"e",}"#.into(), InvalidJson, ""),
        (r#"{"id" "e"}"#.into(), InvalidJson, ""),
        (r#"{id:"e"}"#.into(), InvalidJson, ""),
        (r#"{"id":"e"#.into(), InvalidJson, "id"),
        ("{\"id\":\"a\nb\"}".into(), InvalidJson, "id"),
        (r#"{"id":"\x"}"#.into(), InvalidJson, "id"),
        (event(r#""sequence":01"#), InvalidJson, ""),
        (event(r#""sequence":1."#), InvalidJson, "sequence"),
        (event(&format!(r#""deep":{}1{}"#, "[".repeat(65), "]".repeat(65))), InvalidJson, ""),
        ("[]".into(), WrongType, ""),
        ("7".into(), WrongType, ""),
        ("null".into(), WrongType, ""),
        (r#"{"id":7,"type":"custom"}"#.into(), WrongType, "id"),
        (event(r#""page":"https://shop.example""#), WrongType, "page"),
        (event(r#""page":{"url":["x"]}"#), WrongType, "page.url"),
        (event(r#""properties":[1]"#), WrongType, "properties"),
        (event(r#""sequence":"7""#), WrongType, "sequence"),
        (event(r#""consent":true"#), WrongType, "consent"),
        (event(r#""consent":{"analytics":"yes"}"#), WrongType, "consent"),
        (event(r#""order":{"lines":{}}"#), WrongType, "order.lines"),
        (event(r#""order":{"lines":[7]}"#), WrongType, "order.lines[1]"),
        (event(r#""product":{"price":true}"#), WrongType, "product.price"),
        (r#"{"type":"custom","name":"n"}"#.into(), MissingField, "id"),
        (r#"{"id":"","type":"custom","name":"n"}"#.into(), MissingField, "id"),
        (r#"{"id":null,"type":"custom","name":"n"}"#.into(), MissingField, "id"),
        (r#"{"id":"e","name":"n"}"#.into(), MissingField, "type"),
        (r#"{"id":"e","type":"identify","user":""}"#.into(), MissingField, "user"),
        (r#"{"id":"e","type":"purchase","order":{"id":"o","amount":1}}"#.into(), MissingField, "order.currency"),
        (
            r#"{"id":"e","type":"purchase","order":{"id":"o","currency":"EUR","lines":[]}}"#.into(),
            MissingField,
            "order.amount",
        ),
        (event(r#""order":{"lines":[{"product_id":"p"},{"price":1}]}"#), MissingField, "order.lines[2].product_id"),
        (r#"{"id":"e","type":"teleport"}"#.into(), UnknownEventType, "type"),
        (event(r#""time":"yesterday""#), InvalidTime, "time"),
        (event(r#""time":"2026-11-21T16:37:23""#), InvalidTime, "time"),
        (event(r#""time":1e30"#), InvalidTime, "time"),
        (event(r#""time":99999999999999999"#), InvalidTime, "time"),
        (event(r#""time":true"#), WrongType, "time"),
        (event(r#""product":{"price":-0.01}"#), NegativeAmount, "product.price"),
        (event(r#""order":{"amount":"-1"}"#), NegativeAmount, "order.amount"),
        (
            event(r#""order":{"lines":[{"product_id":"p","price":1},{"product_id":"p","price":-1}]}"#),
            NegativeAmount,
            "order.lines[2].price",
        ),
        (event(r#""order":{"amount":"12,50"}"#), InvalidAmount, "order.amount"),
        (event(r#""order":{"amount":"€ 5"}"#), InvalidAmount, "order.amount"),
        (event(r#""order":{"amount":1e12}"#), InvalidAmount, "order.amount"),
        (event(r#""order":{"currency":"EURO"}"#), UnknownCurrency, "order.currency"),
        (event(r#""spend":{"currency":"XXX"}"#), UnknownCurrency, "spend.currency"),
        (event(r#""product":{"quantity":0}"#), InvalidQuantity, "product.quantity"),
        (event(r#""product":{"quantity":-2}"#), InvalidQuantity, "product.quantity"),
        (event(r#""product":{"quantity":1.5}"#), InvalidQuantity, "product.quantity"),
        (event(r#""refund":{"lines":[{"product_id":"p","quantity":0}]}"#), InvalidQuantity, "refund.lines[1].quantity"),
        (event(r#""ping":{"scroll_depth_pct":101}"#), OutOfRange, "ping.scroll_depth_pct"),
        (event(r#""ping":{"engaged_ms":-1}"#), OutOfRange, "ping.engaged_ms"),
        (event(r#""sequence":9223372036854775808"#), OutOfRange, "sequence"),
        (event(&format!(r#""device":"{}""#, long(129))), TooLong, "device"),
        (event(&format!(r#""page":{{"url":"{}"}}"#, long(2049))), TooLong, "page.url"),
        (event(&format!(r#""properties":{{"a":"{}"}}"#, long(16 * 1024))), TooLong, "properties"),
        (event(&format!(r#""properties":{{"a":"{}"}},"b":"{}""#, long(9000), long(9000))), TooLong, "properties"),
        (event(&format!(r#""order":{{"lines":[{}]}}"#, lines(2001))), TooManyLines, "order.lines"),
    ];
    for (payload, reason, field) in cases {
        let (found, place) = error(&payload);
        assert_eq!(found, reason, "{}", &payload[..payload.len().min(200)]);
        if reason != InvalidJson {
            assert_eq!(place, field, "{}", &payload[..payload.len().min(200)]);
        }
    }
    let invalid = parse_event(b"{\"id\":\"\xff\"}").unwrap_err();
    assert_eq!((invalid.reason, &*invalid.detail), (InvalidUtf8, "not UTF-8 from byte 7"));
}

#[test]
fn limits_are_what_fits() {
    let event = format!(
        r#"{{"id":"{}","type":"custom","name":"n","order":{{"lines":[{}]}},"deep":{}1{}}}"#,
        "é".repeat(64),
        vec![r#"{"product_id":"p"}"#; 2000].join(","),
        "[".repeat(64),
        "]".repeat(64),
    );
    let event = parse_event(event.as_bytes()).unwrap();
    assert_eq!((event.id.len(), event.order.unwrap().lines.len()), (128, 2000));
}

#[test]
fn what_is_documented_is_corrected() {
    let parse = |fields: &str| {
        let payload = format!(r#"{{"id":"e","type":"custom","name":"n",{fields}}}"#);
        parse_event(payload.as_bytes()).map(|event| format!("{event:?}"))
    };
    let corrected = [
        (r#""time":1795279043123.7"#, "time: Some(1795279043123)"),
        (r#""time":"2026-11-21T17:37:23.1239+01:00""#, "time: Some(1795279043123)"),
        (r#""sequence":1e3"#, "sequence: Some(1000)"),
        (r#""user":"a","user":"b""#, "user: Some(\"b\")"),
        (r#""user":"cut \ud83d""#, "user: Some(\"cut \u{fffd}\")"),
        (r#""user":"cut \ude00 \ud83dx \ud83d\u0041""#, "user: Some(\"cut \u{fffd} \u{fffd}x \u{fffd}A\")"),
        (r#""user":"\/\b\f\n\r\t\\\"""#, r#"user: Some("/\u{8}\u{c}\n\r\t\\\"")"#),
        (r#""\u0075ser":"escaped key""#, "user: Some(\"escaped key\")"),
        (r#""consent":["analytics","advertising","more"]"#, "consent: Some(11)"),
        (r#""consent":{"necessary":false}"#, "consent: Some(1)"),
        (r#""order":{"amount":-0.0}"#, "amount: Some(Decimal(0))"),
        (r#""page":null"#, "page: None"),
    ];
    for (fields, want) in corrected {
        let got = parse(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        assert!(got.contains(want), "{fields}: {got}");
    }
}

#[test]
fn properties_alone_stay_as_they_were_sent() {
    let parse = |fields: &str| format!(r#"{{"id":"e","type":"logout"{fields}}}"#);
    let all = |payload: &str| parse_event(payload.as_bytes()).unwrap().all_properties().map(Cow::into_owned);
    assert_eq!(all(&parse("")), None);
    assert_eq!(all(&parse(r#","properties": { }"#)), None);
    assert_eq!(all(&parse(r#","properties": { "a" : 1.0 }"#)).as_deref(), Some(r#"{ "a" : 1.0 }"#));
    assert_eq!(all(&parse(r#","a\"b":1,"a\"b":2,"properties":{}"#)).as_deref(), Some(r#"{"a\"b":2}"#));
}

#[test]
fn a_batch_is_split_into_the_bytes_of_its_events() {
    let body = b" {\"sent_at\": 5, \"events\": [ {\"id\":\"\xff\"} , 7, [\"x,]\"] ], \"more\": {}} ";
    let batch = parse_batch(body, 3).unwrap();
    assert_eq!(batch.sent_at, Some(5));
    assert_eq!(batch.events, [b"{\"id\":\"\xff\"}".as_slice(), b"7", b"[\"x,]\"]"]);
    let reason = |body: &[u8], max| parse_batch(body, max).unwrap_err().reason;
    assert_eq!(reason(body, 2), Reason::TooManyEvents);
    assert_eq!(reason(b"{\"events\":[]}", 9), Reason::EmptyBatch);
    assert_eq!(reason(b"{}", 9), Reason::EmptyBatch);
    assert_eq!(reason(b"[]", 9), Reason::WrongType);
    assert_eq!(reason(b"{\"events\":{}}", 9), Reason::WrongType);
    assert_eq!(reason(b"{\"events\":[{]}", 9), Reason::InvalidJson);
    assert_eq!(reason(b"{\"events\":[1]", 9), Reason::InvalidJson);
    assert_eq!(reason(b"", 9), Reason::InvalidJson);
    assert_eq!(reason(b"{\"sent_at\":\"x\",\"events\":[1]}", 9), Reason::InvalidTime);
}

#[test]
fn an_envelope_says_where_an_event_belongs() {
    let key = |payload: &str| {
        let envelope = parse_envelope(payload.as_bytes()).unwrap();
        let mut key = Vec::new();
        input_key("shop", envelope.identity(), &mut key);
        String::from_utf8(key).unwrap()
    };
    assert_eq!(key(PURCHASE), "shop\0d\0d-1");
    assert_eq!(key(r#"{"id":"e","user":"u","order":{"id":"o"}}"#), "shop\0u\0u");
    assert_eq!(key(r#"{"id":"e","order":{"x":{},"id":"o"}}"#), "shop\0o\0o");
    assert_eq!(key(r#"{"id":"e","refund":{"id":"r","order_id":"o"}}"#), "shop\0o\0o");
    assert_eq!(key(r#"{"id":"e","refund":{"id":"r"}}"#), "shop\0o\0r");
    assert_eq!(key(r#"{"id":"e","touch":{"channel":"call_centre","order_id":"o"}}"#), "shop\0o\0o");
    assert_eq!(key(r#"{"id":"e","device":"","order":null}"#), "shop\0e\0e");
    assert_eq!(key("{}"), "shop\0e\0");
    let reason = |payload: &[u8]| parse_envelope(payload).unwrap_err().reason;
    assert_eq!(reason(b"{\"id\":\"\xff\"}"), Reason::InvalidUtf8);
    assert_eq!(reason(b"{\"id\":7}"), Reason::WrongType);
    assert_eq!(reason(b"{\"id\":\"e\",\"x\":nope}"), Reason::InvalidJson);
}

#[test]
fn names_are_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
    }
    for event_type in EventType::ALL {
        assert_eq!(EventType::parse(event_type.as_str()), Some(*event_type));
    }
    assert_eq!((Reason::Duplicate.fate(), Reason::TooLate.fate()), (Fate::Dropped, Fate::Rejected));
}

/// JSON of every shape, as serde_json writes it.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}|[\\x00-\\x7f]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map("\\PC{0,6}", inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Whether our scanner takes `text` for JSON: as the value of an unknown field of an otherwise good event.
fn accepts(text: &[u8]) -> bool {
    let payload = [br#"{"id":"e","type":"logout","x":"#, text, b"}"].concat();
    !matches!(parse_event(&payload), Err(InputError { reason: Reason::InvalidJson | Reason::InvalidUtf8, .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn json_is_what_serde_json_takes_for_json(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut text = serde_json::to_vec(&value).unwrap();
        prop_assert!(accepts(&text));
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        // Numbers beyond a float's range are JSON, but not serde_json's; halves of characters we mend, it refuses.
        let oracle = serde_json::from_slice::<Box<serde_json::value::RawValue>>(&text).is_ok();
        // A cut or changed text may close our object early: `1,"y":2` is no value, but an event with two fields.
        let stands_alone = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&[b"{\"x\":", text.as_slice(), b"}"].concat()).is_ok();
        prop_assert!(accepts(&text) == oracle || stands_alone, "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn strings_are_what_serde_json_reads(value in "\\PC{0,30}|[\\x00-\\x7f]{0,30}", ascii in any::<bool>()) {
        let mut text = serde_json::to_string(&value).unwrap();
        if ascii {
            text = text.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }).collect();
        }
        let payload = format!(r#"{{"id":"e","type":"logout","user":{text}}}"#);
        let event = parse_event(payload.as_bytes());
        if value.len() > 128 {
            prop_assert_eq!(event.unwrap_err().reason, Reason::TooLong);
        } else {
            prop_assert_eq!(event.unwrap().user.unwrap_or_default(), value);
        }
    }

    #[test]
    fn all_properties_are_json(keys in prop::collection::vec("[ab\"\\\\\\x00-\\x1fé.]{0,3}", 0..6), with in any::<bool>()) {
        let mut payload = String::from(r#"{"id":"e","type":"logout""#);
        for key in &keys {
            payload += &format!(",{}:[1]", serde_json::to_string(key).unwrap());
        }
        payload += if with { r#","properties":{"a":1,"\u0062":2}}"# } else { "}" };
        let event = parse_event(payload.as_bytes()).unwrap();
        let all = event.all_properties();
        prop_assert_eq!(all.is_some(), with || !keys.is_empty());
        if let Some(all) = all {
            let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&all).unwrap();
            for key in &keys {
                let name = if with && (key == "a" || key == "b") { format!("event.{key}") } else { key.clone() };
                prop_assert!(map.contains_key(&name), "{all}");
            }
        }
    }

    #[test]
    fn a_damaged_event_ends_in_an_event_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut payload = PURCHASE.as_bytes().to_vec();
        let at = at.index(payload.len());
        if cut { payload.truncate(at) } else { payload[at] = byte }
        let event = parse_event(&payload);
        prop_assert!(!cut || event.is_err());
        // What an event parses from, its envelope does too.
        if event.is_ok() {
            prop_assert!(parse_envelope(&payload).is_ok());
        }
        let _ = parse_batch(&payload, 9);
    }

    #[test]
    fn random_bytes_end_in_an_error(payload in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(parse_event(&payload).is_err());
        prop_assert!(parse_batch(&payload, 9).is_err());
    }
}
