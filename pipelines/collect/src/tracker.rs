//! `GET /tracker.js`: what a shop includes, from the collector that it sends to.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millstream_schemas::Id;

const SCRIPT: &str = include_str!("../../../tracker/tracker.min.js");
/// An hour: a shop has a new version soon, and asks for it rarely.
const CACHE: &str = "public, max-age=3600";

static TAG: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", Id::of(&[SCRIPT.as_bytes()])));

/// The tracker, for any page to include.
pub(crate) async fn script(headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == TAG.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { SCRIPT.into_response() };
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        answer.insert(header::ETAG, tag);
    }
    response
}
