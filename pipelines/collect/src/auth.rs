//! Write keys name a site.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};

use crate::config::SiteKeys;
use crate::rate::Bucket;

/// A site as requests see it.
pub(crate) struct Site {
    pub keys: SiteKeys,
    pub bucket: Bucket,
}

/// All sites by write key.
pub(crate) struct Sites {
    sites: Vec<Site>,
    by_key: HashMap<String, usize>,
}

impl Sites {
    pub fn new(sites: Vec<SiteKeys>) -> Self {
        let mut by_key = HashMap::new();
        for (index, site) in sites.iter().enumerate() {
            for key in &site.write_keys {
                by_key.insert(key.clone(), index);
            }
        }
        let sites =
            sites.into_iter().map(|keys| Site { bucket: Bucket::new(keys.max_events_per_second), keys }).collect();
        Self { sites, by_key }
    }

    /// The site that the request's write key names: `Authorization: Bearer`, `X-Write-Key`, or the query parameter `key` (a
    /// browser's `sendBeacon` cannot set headers).
    pub fn authenticate(&self, headers: &HeaderMap, query: Option<&str>) -> Option<&Site> {
        let key = bearer(headers)
            .or_else(|| headers.get("x-write-key").and_then(|value| value.to_str().ok()))
            .or_else(|| query.and_then(query_key))?;
        self.by_key.get(key).and_then(|&index| self.sites.get(index))
    }

    /// Whether any site takes events from this browser origin. A preflight carries no key, so it cannot be decided by site.
    pub fn any_allows(&self, origin: &str) -> bool {
        self.sites.iter().any(|site| allows(&site.keys, origin))
    }
}

pub(crate) fn allows(site: &SiteKeys, origin: &str) -> bool {
    site.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Write keys are URL-safe by validation of the configuration, so nothing is decoded here.
fn query_key(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key="))
}
