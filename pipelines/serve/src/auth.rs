//! Read tokens name a site.

use axum::http::{HeaderMap, header};

use crate::config::SiteTokens;

/// All tokens.
pub(crate) struct Tokens(Vec<SiteTokens>);

impl Tokens {
    pub fn new(sites: Vec<SiteTokens>) -> Self {
        Self(sites)
    }

    /// The site that the request's token names: `Authorization: Bearer`, or the query parameter `token` (a browser's `EventSource`
    /// cannot set headers).
    pub fn authenticate(&self, headers: &HeaderMap, token: Option<&str>) -> Option<&str> {
        let given = bearer(headers).or(token)?;
        // Every token is compared, so that the time taken tells nothing of where one differs.
        let mut found = None;
        for site in &self.0 {
            for known in &site.read_tokens {
                if same(known, given) {
                    found = Some(site.name.as_str());
                }
            }
        }
        found
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn same(known: &str, given: &str) -> bool {
    let differing = known.bytes().zip(given.bytes()).fold(0u8, |differing, (a, b)| differing | (a ^ b));
    known.len() == given.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_the_same_token_is_the_same() {
        assert!(same("abc", "abc"));
        for other in ["", "ab", "abd", "abcd", "bbc"] {
            assert!(!same("abc", other), "{other}");
        }
    }
}
