//! Where the server is and who we are there.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// How to reach ClickHouse. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// Base address, `http://host:8123` or `https://host:8443`. A user and password in it are used and never shown.
    pub url: String,
    /// Database of all tables; `migrate` creates it.
    pub database: String,
    /// User; empty means the server's default user.
    pub user: String,
    /// Password.
    pub password: String,
    /// PEM file with the certificate authorities to trust. Without one: the file named by SSL_CERT_FILE, else the system's.
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one insert or query may take in all, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "millstream".to_owned(),
            user: String::new(),
            password: String::new(),
            ca_file: None,
            connect_timeout_ms: 5_000,
            timeout_ms: 60_000,
        }
    }
}

impl fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseConfig")
            .field("url", &super::client::address(&self.url).unwrap_or_else(|_| "(not an address)".to_owned()))
            .field("database", &self.database)
            .field("user", &self.user)
            .field("password", &if self.password.is_empty() { "" } else { "***" })
            .field("ca_file", &self.ca_file)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}
