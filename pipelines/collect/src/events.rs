//! `POST /v1/events`: from a request to durable records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use millstream_schemas::Collected;
use millstream_schemas::input::{Reason, parse_batch, parse_envelope};
use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_transports::partition_for;

use crate::answer::{BatchAnswer, EventAnswer, Refused};
use crate::append::{Pending, append};
use crate::auth::{Site, allows};
use crate::in_flight::estimate;
use crate::state::Collector;
use crate::{body, cors};

/// A client's user agent is kept up to this many bytes.
const MAX_USER_AGENT_BYTES: usize = 512;

/// The handler.
pub(crate) async fn post(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (parts, request_body) = request.into_parts();
    let taken = receive(&collector, &parts, request_body).await;
    let mut response = match taken {
        Ok(answer) => answer.into_response(),
        Err(refused) => {
            collector.metrics.refused.with_label_values(&[refused.reason.as_str()]).inc();
            collector.metrics.refused_requests.with_label_values(&[refused.status.as_str()]).inc();
            refused.into_response()
        }
    };
    cors::allow(&mut response, &parts.headers);
    response
}

/// Reads the body, within the bytes that all requests together may take, and takes what is in it.
async fn receive(collector: &Collector, parts: &Parts, request_body: Body) -> Result<BatchAnswer, Refused> {
    collector.closed()?;
    let config = &collector.config;
    let bytes = estimate(&parts.headers, config.max_body_bytes);
    let Some(_reserved) = collector.in_flight.reserve(bytes) else {
        return Err(Refused::overloaded("too much is being worked on; send again after Retry-After seconds"));
    };
    // A little above the limit, so that the answer, with a reason, is the one of `body`.
    let read = to_bytes(request_body, config.max_body_bytes + 1);
    let request_body = match tokio::time::timeout(Duration::from_millis(config.body_timeout_ms), read).await {
        Ok(Ok(request_body)) => request_body,
        Ok(Err(_)) => return Err(body::too_large(config.max_body_bytes)),
        Err(_) => {
            let detail = format!("the request's body did not come within {} ms; send again", config.body_timeout_ms);
            return Err(Refused::new(Reason::Unavailable, detail));
        }
    };
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address);
    take(collector, peer, parts.uri.query(), &parts.headers, request_body).await
}

async fn take(
    collector: &Collector,
    peer: Option<SocketAddr>,
    query: Option<&str>,
    headers: &HeaderMap,
    request_body: Bytes,
) -> Result<BatchAnswer, Refused> {
    let received_at = collector.now_ms();
    let site = authenticate(collector, query, headers)?;
    let config = &collector.config;
    let text = body::decode(headers, request_body, config.max_body_bytes)?;
    let batch = parse_batch(&text, config.max_batch_events)?;
    if !site.bucket.take(batch.events.len(), collector.monotonic()) {
        return Err(Refused::new(
            Reason::RateLimited,
            "the site's rate is exceeded; send again after Retry-After seconds",
        ));
    }
    let address = peer.filter(|_| site.keys.keep_ip).map(|peer| peer.ip().to_string());
    let request = Sender {
        site: &site.keys.name,
        received_at,
        sent_at: batch.sent_at,
        user_agent: headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(bounded_user_agent),
        ip: address.as_deref(),
        global_privacy_control: headers.get("sec-gpc").is_some_and(|value| value.as_bytes() == b"1"),
    };
    let mut records = Vec::with_capacity(batch.events.len());
    let mut events = Vec::with_capacity(batch.events.len());
    for (index, raw) in batch.events.iter().enumerate() {
        events.push(stage_event(collector, &request, index, raw, &mut records));
    }
    collector.closed()?;
    let timer = collector.metrics.append_seconds.start_timer();
    let appended = append(collector.log.as_ref(), &records, Duration::from_millis(config.append_timeout_ms)).await;
    collector.log_answered(appended.as_ref().err().map(|refused| refused.detail.as_str()));
    let queued_bytes = i64::try_from(collector.log.queued_bytes()).unwrap_or(i64::MAX);
    collector.metrics.queued_bytes.set(queued_bytes);
    if let Err(refused) = appended {
        timer.stop_and_discard();
        return Err(refused);
    }
    timer.observe_duration();
    // What is acknowledged must be where a hand-over looks for it. Sent again, it is known by its id.
    collector.closed()?;
    let refused = events.len() - records.len();
    collector.metrics.accepted.inc_by(records.len() as u64);
    Ok(BatchAnswer { accepted: records.len(), refused, events })
}

fn authenticate<'c>(collector: &'c Collector, query: Option<&str>, headers: &HeaderMap) -> Result<&'c Site, Refused> {
    let site = collector.sites.authenticate(headers, query).ok_or_else(|| {
        Refused::new(
            Reason::Unauthenticated,
            "no known write key: give one of a configured site, as Authorization: Bearer <key>, X-Write-Key, or ?key=",
        )
    })?;
    let origin_allowed =
        headers.get(header::ORIGIN).is_none_or(|origin| origin.to_str().is_ok_and(|origin| allows(&site.keys, origin)));
    if !origin_allowed {
        return Err(Refused::new(Reason::Unauthenticated, "this origin may not send events for the site"));
    }
    Ok(site)
}

struct Sender<'a> {
    site: &'a str,
    received_at: i64,
    sent_at: Option<i64>,
    user_agent: Option<&'a str>,
    ip: Option<&'a str>,
    global_privacy_control: bool,
}

fn stage_event(
    collector: &Collector,
    request: &Sender<'_>,
    index: usize,
    payload: &[u8],
    records: &mut Vec<Pending>,
) -> EventAnswer {
    let refuse = |reason: Reason, detail: String| {
        collector.metrics.refused.with_label_values(&[reason.as_str()]).inc();
        EventAnswer { index, id: None, status: "refused", reason: Some(reason.as_str()), detail: Some(detail) }
    };
    let max_event_bytes = collector.config.max_event_bytes;
    if payload.len() > max_event_bytes {
        return refuse(
            Reason::BodyTooLarge,
            format!("an event may have {max_event_bytes} bytes, this one has {}", payload.len()),
        );
    }
    let envelope = match parse_envelope(payload) {
        Ok(envelope) => envelope,
        Err(error) => return refuse(error.reason, error.to_string()),
    };
    let identity = InputIdentity {
        device: envelope.device.as_deref(),
        user: envelope.user.as_deref(),
        order: envelope.order_id.as_deref(),
        event: envelope.id.as_deref(),
    };
    let mut key = Vec::new();
    input_key(request.site, identity, &mut key);
    let collected = Collected {
        site: request.site,
        origin: "http",
        received_at: request.received_at,
        sent_at: request.sent_at,
        data_set: None,
        file: None,
        line: None,
        user_agent: request.user_agent,
        ip: request.ip,
        global_privacy_control: request.global_privacy_control,
        payload,
    };
    let mut value = Vec::with_capacity(payload.len() + 128);
    collected.encode_framed(collector.schema_ids.to_wire(Collected::ID), &mut value);
    let partition = partition_for(&key, collector.partitions);
    records.push(Pending { partition, timestamp_ms: request.received_at, key, value });
    EventAnswer { index, id: envelope.id.map(String::from), status: "accepted", reason: None, detail: None }
}

fn bounded_user_agent(text: &str) -> &str {
    let mut end = text.len().min(MAX_USER_AGENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
