//! Our own schemas, read-only, through the Confluent registry's API, so that ordinary clients decode without a registry.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use millstream_schemas::{RECORDS, RecordSchema, by_id};
use serde_json::json;

/// The API's media type; clients ask for it.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The routes, to be merged at the root or nested.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}/versions", get(versions))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/schemas/types", get(|| async { answer(json!(["AVRO"])) }))
        .route("/schemas/ids/{id}", get(schema_by_id))
        .route("/schemas/ids/{id}/versions", get(subject_versions))
        .route("/config", get(|| async { answer(json!({ "compatibilityLevel": "BACKWARD" })) }))
        .route("/mode", get(|| async { answer(json!({ "mode": "READONLY" })) }))
}

fn answer(body: serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], Json(body).into_response().into_body()).into_response()
}

fn not_found(code: u32, message: &str) -> Response {
    (StatusCode::NOT_FOUND, answer(json!({ "error_code": code, "message": message }))).into_response()
}

/// Record-name strategy with the topic before it: a topic can carry several kinds of records.
fn subject(record: &RecordSchema) -> String {
    format!("{}-millstream.{}", record.topic, record.name)
}

fn published() -> impl Iterator<Item = &'static RecordSchema> {
    RECORDS.iter().copied().filter(|record| !record.topic.is_empty())
}

fn by_subject(name: &str) -> Option<&'static RecordSchema> {
    published().find(|record| subject(record) == name)
}

async fn subjects() -> Response {
    answer(json!(published().map(subject).collect::<Vec<_>>()))
}

async fn versions(Path(name): Path<String>) -> Response {
    match by_subject(&name) {
        Some(_) => answer(json!([1])),
        None => not_found(40401, "Subject not found"),
    }
}

async fn version(Path((name, version)): Path<(String, String)>) -> Response {
    let Some(record) = by_subject(&name) else { return not_found(40401, "Subject not found") };
    if version != "latest" && version != "1" {
        return not_found(40402, "Version not found");
    }
    answer(json!({ "subject": name, "version": 1, "id": record.id, "schema": record.avro_json }))
}

async fn schema_by_id(Path(id): Path<u32>) -> Response {
    match by_id(id) {
        Some(record) => answer(json!({ "schema": record.avro_json })),
        None => not_found(40403, "Schema not found"),
    }
}

async fn subject_versions(Path(id): Path<u32>) -> Response {
    match by_id(id) {
        Some(record) => answer(json!([{ "subject": subject(record), "version": 1 }])),
        None => not_found(40403, "Schema not found"),
    }
}
