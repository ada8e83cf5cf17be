//! What a client is told: a status and a machine-readable reason for each event.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millstream_schemas::input::{InputError, Reason};
use serde::Serialize;

/// The HTTP status that goes with a reason for refusing a whole request.
fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Unauthenticated => StatusCode::UNAUTHORIZED,
        Reason::TooManyEvents | Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::Unavailable | Reason::NamespaceClosed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// One event's fate, in the order of the batch.
#[derive(Debug, Serialize)]
pub(crate) struct EventAnswer {
    /// Index in the batch.
    pub index: usize,
    /// The sender's id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `accepted` or `refused`.
    pub status: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// In words: what was wrong and what is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A batch's fate.
#[derive(Debug, Serialize)]
pub(crate) struct BatchAnswer {
    /// Events that the log has.
    pub accepted: usize,
    /// Events that were refused.
    pub refused: usize,
    /// One entry an event.
    pub events: Vec<EventAnswer>,
}

impl IntoResponse for BatchAnswer {
    fn into_response(self) -> Response {
        (StatusCode::OK, axum::Json(self)).into_response()
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub reason: Reason,
    pub detail: String,
    pub status: StatusCode,
}

impl Refused {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), status: status(reason) }
    }

    /// The log is behind: the client should slow down and send again.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, ..Self::new(Reason::Unavailable, detail) }
    }
}

impl From<InputError> for Refused {
    fn from(error: InputError) -> Self {
        Self::new(error.reason, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "reason": self.reason.as_str(), "detail": self.detail });
        let mut response = (self.status, axum::Json(body)).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        response
    }
}
