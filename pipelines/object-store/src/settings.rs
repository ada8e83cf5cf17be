//! Which bucket, and how it is reached.

use std::fmt;

/// How to reach a bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectSettings {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// The store's address where it is not Amazon's: `https://storage.example:9000`. Empty: Amazon's of the region.
    pub endpoint: String,
    /// The bucket's region. Empty: `AWS_REGION`, else `us-east-1`.
    pub region: String,
    /// Access key. Empty: as every client of Amazon's finds it (`AWS_ACCESS_KEY_ID`, web identity, the machine's role).
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Whether `http://` will do, where nothing is encrypted.
    pub allow_http: bool,
    /// Longest wait for one request, milliseconds.
    pub timeout_ms: u64,
    /// How often a request that failed for the moment is made again.
    pub retries: usize,
}

impl ObjectSettings {
    /// A bucket of Amazon's, 30 seconds a request, three more tries.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            allow_http: false,
            timeout_ms: 30_000,
            retries: 3,
        }
    }

    /// Bucket, and the prefix of all objects without slashes around it.
    ///
    /// # Errors
    /// Where the address is none of a bucket.
    pub fn bucket(&self) -> Result<(&str, &str), SettingsError> {
        let wrong = |detail: &str| SettingsError(format!("{:?}: {detail}", self.url));
        let path = self.url.strip_prefix("s3://").ok_or_else(|| wrong("s3://bucket/prefix was expected"))?;
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
            return Err(wrong("a bucket's name has 3 to 63 lower case letters, digits, `-` and `.`"));
        }
        let part = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
        };
        if !prefix.is_empty() && !prefix.split('/').all(part) {
            return Err(wrong("a prefix has letters, digits, `-`, `.` and `_` between single slashes"));
        }
        Ok((bucket, prefix))
    }

    /// Whether the address of the store will do.
    ///
    /// # Errors
    /// Where it is none, or would send everything unencrypted without being allowed to.
    pub fn check_endpoint(&self) -> Result<(), SettingsError> {
        let host = |scheme| self.endpoint.strip_prefix(scheme).is_some_and(|host: &str| !host.is_empty());
        if self.endpoint.is_empty() || host("https://") || (host("http://") && self.allow_http) {
            return Ok(());
        }
        Err(SettingsError(if host("http://") {
            format!("{:?} is not encrypted: use https://, or set allow_http in a network that you trust", self.endpoint)
        } else {
            format!("{:?}: https://host:port was expected", self.endpoint)
        }))
    }

    /// Whether both halves of the credentials are there, or neither.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn check_credentials(&self) -> Result<(), SettingsError> {
        match (self.access_key_id.is_empty(), self.secret_access_key.is_empty()) {
            (true, true) | (false, false) => Ok(()),
            (true, false) => Err(SettingsError("there is a secret_access_key, but no access_key_id".to_owned())),
            (false, true) => Err(SettingsError("there is an access_key_id, but no secret_access_key".to_owned())),
        }
    }
}

impl fmt::Debug for ObjectSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSettings")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Settings that make no sense; the text says which and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_prefix() {
        let of = |url: &str| ObjectSettings::new(url).bucket().map(|(a, b)| (a.to_owned(), b.to_owned())).ok();
        let found = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(of("s3://shop-snapshots"), found("shop-snapshots", ""));
        assert_eq!(of("s3://shop/a/b/"), found("shop", "a/b"));
        for wrong in
            ["", "s3://", "s3:///a", "s3://UP/a", "s3://shop/a//b", "s3://shop/../b", "s3://shop/a b", "http://shop"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_sent_unencrypted_unless_that_is_said() {
        let of = |endpoint: &str, allow_http| ObjectSettings {
            endpoint: endpoint.to_owned(),
            allow_http,
            ..ObjectSettings::new("s3://shop")
        };
        assert!(of("https://a:1", false).check_endpoint().is_ok());
        assert!(of("", false).check_endpoint().is_ok());
        assert!(of("http://a:1", true).check_endpoint().is_ok());
        assert!(of("http://a:1", false).check_endpoint().unwrap_err().0.contains("allow_http"));
        assert!(of("a:1", true).check_endpoint().is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = ObjectSettings {
            access_key_id: "the-key".to_owned(),
            secret_access_key: "the-secret".to_owned(),
            ..ObjectSettings::new("s3://shop")
        };
        assert!(settings.check_credentials().is_ok());
        let shown = format!("{settings:?}");
        assert!(!shown.contains("the-"), "{shown}");
        let half = ObjectSettings { secret_access_key: String::new(), ..settings };
        assert!(half.check_credentials().is_err());
    }
}
