//! `POST /v1/events`: from a request to durable records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Extension, OriginalUri, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use millstream_schemas::input_key::input_key;
use millstream_schemas::{Collected, Record, input};
use millstream_transports::partition_for;
use serde_json::value::RawValue;

use crate::answer::{BatchAnswer, EventAnswer, Refusal, Refused};
use crate::append::{Pending, append};
use crate::auth::{Site, allows};
use crate::state::Collector;
use crate::{body, cors, envelope};

/// A client's user agent is kept up to this many bytes.
const MAX_USER_AGENT_BYTES: usize = 512;

/// The handler.
pub(crate) async fn post(
    State(collector): State<Arc<Collector>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    request_body: Bytes,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(address))| address);
    let mut response = match take(&collector, peer, uri.query(), &headers, request_body).await {
        Ok(answer) => answer.into_response(),
        Err(refused) => {
            collector.metrics.refused.with_label_values(&[refused.reason.name()]).inc();
            refused.into_response()
        }
    };
    cors::allow(&mut response, &headers);
    response
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
    let batch = envelope::batch(&text)?;
    if batch.events.is_empty() {
        return Err(Refused::new(Refusal::EmptyBatch, "the batch holds no event"));
    }
    if batch.events.len() > config.max_batch_events {
        let detail = format!("a batch may hold {} events; send smaller batches", config.max_batch_events);
        return Err(Refused::new(Refusal::TooManyEvents, detail));
    }
    if !site.bucket.take(batch.events.len(), collector.monotonic()) {
        return Err(Refused::new(Refusal::RateLimited, "the site's rate is exceeded; send again after Retry-After seconds"));
    }
    let address = peer.filter(|_| site.keys.keep_ip).map(|peer| peer.ip().to_string());
    let request = Request {
        site: &site.keys.name,
        received_at,
        // A batch without a readable send time is taken; its clock is then not corrected.
        sent_at: batch.sent_at.and_then(|raw| input::parse_time(raw.get()).ok()),
        user_agent: headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(bounded_user_agent),
        ip: address.as_deref(),
        global_privacy_control: headers.get("sec-gpc").is_some_and(|value| value.as_bytes() == b"1"),
    };
    let mut records = Vec::with_capacity(batch.events.len());
    let mut events = Vec::with_capacity(batch.events.len());
    for (index, raw) in batch.events.iter().enumerate() {
        events.push(stage_event(collector, &request, index, raw, &mut records));
    }
    let timer = collector.metrics.append_seconds.start_timer();
    append(collector.log.as_ref(), &records, Duration::from_millis(config.append_timeout_ms)).await?;
    timer.observe_duration();
    let queued_bytes = i64::try_from(collector.log.queued_bytes()).unwrap_or(i64::MAX);
    collector.metrics.queued_bytes.set(queued_bytes);
    let refused = events.len() - records.len();
    collector.metrics.accepted.inc_by(records.len() as u64);
    Ok(BatchAnswer { accepted: records.len(), refused, events })
}

fn authenticate<'c>(collector: &'c Collector, query: Option<&str>, headers: &HeaderMap) -> Result<&'c Site, Refused> {
    let site = collector.sites.authenticate(headers, query).ok_or_else(|| {
        Refused::new(Refusal::Unauthenticated, "give a write key: Authorization: Bearer <key>, X-Write-Key, or ?key=")
    })?;
    if let Some(origin) = headers.get(header::ORIGIN) {
        if !origin.to_str().is_ok_and(|origin| allows(&site.keys, origin)) {
            return Err(Refused::new(Refusal::Unauthenticated, "this origin may not send events for the site"));
        }
    }
    Ok(site)
}

struct Request<'a> {
    site: &'a str,
    received_at: i64,
    sent_at: Option<i64>,
    user_agent: Option<&'a str>,
    ip: Option<&'a str>,
    global_privacy_control: bool,
}

fn stage_event(
    collector: &Collector,
    request: &Request<'_>,
    index: usize,
    raw: &RawValue,
    records: &mut Vec<Pending>,
) -> EventAnswer {
    let refuse = |reason: Refusal, id| {
        collector.metrics.refused.with_label_values(&[reason.name()]).inc();
        EventAnswer { index, id, status: "refused", reason: Some(reason) }
    };
    if raw.get().len() > collector.config.max_event_bytes {
        return refuse(Refusal::TooLarge, None);
    }
    let Some(envelope) = envelope::event(raw) else { return refuse(Refusal::InvalidEnvelope, None) };
    let mut key = Vec::new();
    input_key(request.site, envelope.identity(), &mut key);
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
        payload: raw.get().as_bytes(),
    };
    let mut value = Vec::with_capacity(raw.get().len() + 128);
    collected.encode_framed(collector.schema_ids.to_wire(Collected::ID), &mut value);
    let partition = partition_for(&key, collector.partitions);
    records.push(Pending { partition, timestamp_ms: request.received_at, key, value });
    EventAnswer { index, id: envelope.id.map(String::from), status: "accepted", reason: None }
}

fn bounded_user_agent(text: &str) -> &str {
    let mut end = text.len().min(MAX_USER_AGENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
