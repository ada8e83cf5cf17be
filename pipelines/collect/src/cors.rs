//! Cross-origin requests: shops send from their own pages.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Answers a preflight; browsers cache it for `max_age_s`.
pub(crate) fn preflight(origin_allowed: bool, headers: &HeaderMap, max_age_s: u32) -> Response {
    if !origin_allowed {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow(&mut response, headers);
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, content-encoding, x-write-key"),
    );
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(max_age_s));
    response
}

/// Lets the asking origin read the answer.
pub(crate) fn allow(response: &mut Response, headers: &HeaderMap) {
    if let Some(origin) = headers.get(header::ORIGIN) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    }
}
