//! With a schema registry configured, our schemas are registered there and frames carry its ids.

use millstream_schemas::{RECORDS, SchemaIds};
use serde::Deserialize;
use serde_json::json;

/// Why registration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry did not answer.
    #[error("schema registry {url}: {detail}")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        detail: String,
    },
    /// The registry refused a schema, for example as incompatible with what it has.
    #[error("schema registry {url} refused subject {subject}: {detail}")]
    Refused {
        /// Its address.
        url: String,
        /// Subject.
        subject: String,
        /// In its words.
        detail: String,
    },
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// Registers every record under `<topic>-millstream.<record>` and returns the ids to write. An empty `url` means no registry.
///
/// # Errors
/// Where the registry cannot be reached or refuses.
pub fn register(url: &str, namespace: &str) -> Result<SchemaIds, RegistryError> {
    if url.is_empty() {
        return Ok(SchemaIds::identity());
    }
    let shown = without_login(url);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(std::time::Duration::from_secs(10)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut pairs = Vec::new();
    for record in RECORDS.iter().filter(|record| !record.topic.is_empty()) {
        let subject = format!("{namespace}{}-millstream.{}", record.topic, record.name);
        let unreachable = |detail: String| RegistryError::Unreachable { url: shown.clone(), detail };
        let body = json!({ "schemaType": "AVRO", "schema": record.avro_json }).to_string();
        let mut response = agent
            .post(&format!("{}/subjects/{subject}/versions", url.trim_end_matches('/')))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .send(body)
            .map_err(|error| unreachable(error.to_string()))?;
        let text = response.body_mut().read_to_string().map_err(|error| unreachable(error.to_string()))?;
        if !response.status().is_success() {
            return Err(RegistryError::Refused { url: shown, subject, detail: text });
        }
        let Registered { id } =
            serde_json::from_str(&text).map_err(|error| unreachable(format!("unexpected answer: {error}")))?;
        pairs.push((record.id, id));
    }
    Ok(SchemaIds::registered(pairs))
}

/// The address without user and password.
fn without_login(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn an_address_is_shown_without_its_login() {
        assert_eq!(without_login("https://me:secret@registry:8081/x"), "https://registry:8081/x");
        assert_eq!(without_login("http://registry:8081"), "http://registry:8081");
    }
}
