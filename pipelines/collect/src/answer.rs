//! What a client is told: a status and a machine-readable reason for each event.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why an event or a whole request was not taken. The names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// No write key, or none that names a site.
    Unauthenticated,
    /// The body is not what the endpoint takes.
    InvalidJson,
    /// The body is not UTF-8.
    InvalidUtf8,
    /// The batch holds no event.
    EmptyBatch,
    /// The batch holds more events than allowed.
    TooManyEvents,
    /// Body or event is larger than allowed.
    TooLarge,
    /// The event is not a JSON object, or its envelope has a wrong type.
    InvalidEnvelope,
    /// The content encoding is not supported, or the bytes do not decompress.
    InvalidEncoding,
    /// The site sends more than its rate.
    RateLimited,
    /// The log is behind; send again later.
    Overloaded,
    /// The log did not confirm in time. The event may or may not be there: send it again with the same id.
    Unconfirmed,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::InvalidJson | Self::InvalidUtf8 | Self::EmptyBatch | Self::InvalidEnvelope => StatusCode::BAD_REQUEST,
            Self::TooManyEvents | Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited | Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Unconfirmed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidJson => "invalid_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::EmptyBatch => "empty_batch",
            Self::TooManyEvents => "too_many_events",
            Self::TooLarge => "too_large",
            Self::InvalidEnvelope => "invalid_envelope",
            Self::InvalidEncoding => "invalid_encoding",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unconfirmed => "unconfirmed",
        }
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
    pub reason: Option<Refusal>,
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
    pub reason: Refusal,
    pub detail: String,
    pub retry_after_s: Option<u32>,
}

impl Refused {
    pub fn new(reason: Refusal, detail: impl Into<String>) -> Self {
        let retry_after_s = matches!(reason, Refusal::RateLimited | Refusal::Overloaded | Refusal::Unconfirmed).then_some(1);
        Self { reason, detail: detail.into(), retry_after_s }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "reason": self.reason.name(), "detail": self.detail });
        let mut response = (self.reason.status(), axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
