//! Whom to trust behind `https`.

use std::path::PathBuf;
use std::sync::Arc;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::config::ClickHouseConfig;
use super::error::ClickHouseError;

/// Where systems keep the authorities they trust, as one PEM file.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS with the configured authorities, else the system's.
pub(super) fn tls_config(config: &ClickHouseConfig) -> Result<TlsConfig, ClickHouseError> {
    let path = authorities(config)?;
    let refuse = |why: String| ClickHouseError::Config(format!("authorities in {}: {why}", path.display()));
    let pem = std::fs::read(&path).map_err(|error| refuse(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refuse(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(refuse("no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn authorities(config: &ClickHouseConfig) -> Result<PathBuf, ClickHouseError> {
    if let Some(path) = &config.ca_file {
        return Ok(path.clone());
    }
    if let Some(path) = std::env::var_os("SSL_CERT_FILE") {
        return Ok(PathBuf::from(path));
    }
    let found = SYSTEM_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| {
        let message =
            "https needs certificate authorities and the system's were not found: set ca_file or SSL_CERT_FILE";
        ClickHouseError::Config(message.to_owned())
    })
}
