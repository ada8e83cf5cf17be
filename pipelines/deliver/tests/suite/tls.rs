//! HTTPS: who is trusted, and that the login travels. The server is a few lines here; its certificates are made by `openssl`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use millstream_deliver::{ClickHouse, ClickHouseConfig, ClickHouseError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A self-signed certificate for 127.0.0.1; false where there is no `openssl`.
fn certificate(folder: &Path, name: &str) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.pem")))
        .output();
    made.is_ok_and(|output| output.status.success())
}

/// Answers every request with `1`; hands over the head of each.
fn serve(folder: &Path) -> (String, Receiver<String>) {
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (heads, received) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().filter_map(Result::ok) {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, socket));
            let mut head = String::new();
            // A client that does not trust us ends the handshake here.
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            if head.is_empty() || stream.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1\n";
            let _ = stream.get_mut().write_all(answer);
            let _ = stream.get_mut().flush();
            if heads.send(head).is_err() {
                return;
            }
        }
    });
    (url, received)
}

#[test]
fn https_trusts_the_configured_authority_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    if !["server", "other"].into_iter().all(|name| certificate(folder.path(), name)) {
        let line = "tls::https_trusts_the_configured_authority_and_no_other: openssl cannot make certificates here";
        eprintln!("SKIPPED {line}");
        if let Ok(path) = std::env::var("MILLSTREAM_SKIP_LOG") {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        return;
    }
    let (url, heads) = serve(folder.path());
    let client = |ca: &str| {
        let config = ClickHouseConfig {
            url: url.clone(),
            user: "writer".into(),
            password: "hunter2".into(),
            ca_file: Some(folder.path().join(ca)),
            ..ClickHouseConfig::default()
        };
        ClickHouse::new(&config)
    };
    assert_eq!(client("server.pem").unwrap().number("SELECT 1").unwrap(), 1);
    let head = heads.recv().unwrap().to_ascii_lowercase();
    assert!(head.contains("x-clickhouse-user: writer") && head.contains("x-clickhouse-key: hunter2"), "{head}");
    assert!(!head.lines().next().unwrap().contains("hunter2"), "the address must not carry the password: {head}");

    let error = client("other.pem").unwrap().number("SELECT 1").unwrap_err();
    assert!(matches!(error, ClickHouseError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(heads.try_recv().is_err(), "nothing was sent to a server that is not trusted");

    let error = client("none.pem").unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    assert!(client("empty.pem").unwrap_err().to_string().contains("no certificate"));
}
