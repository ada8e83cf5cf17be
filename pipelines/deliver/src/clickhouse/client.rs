//! Requests to the HTTP interface.

use std::io::{Read, Write};
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use url::Url;

use super::config::ClickHouseConfig;
use super::error::ClickHouseError;
use super::tls::tls_config;
use crate::query_format::QueryFormat;

/// Bytes of a server's error text that are kept.
const ERROR_TEXT_BYTES: u64 = 2_000;
/// Bytes of an answer to one of our own questions at most.
const ANSWER_BYTES: u64 = 64 << 20;

/// A client of one database. Cheap to share; connections are pooled.
#[derive(Debug)]
pub struct ClickHouse {
    agent: Agent,
    base: Url,
    address: String,
    database: String,
    user: String,
    password: Secret,
}

/// A string that `Debug` does not show.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Scheme, host and port of a URL: what errors show of it.
pub(super) fn address(url: &str) -> Result<String, url::ParseError> {
    let url = Url::parse(url)?;
    let host = url.host_str().unwrap_or_default();
    Ok(match url.port_or_known_default() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

impl ClickHouse {
    /// A client; nothing is connected yet.
    pub fn new(config: &ClickHouseConfig) -> Result<Self, ClickHouseError> {
        // Parse errors do not repeat the text: it may hold a password.
        let mut base = Url::parse(&config.url)
            .map_err(|error| ClickHouseError::Config(format!("url is not an address ({error})")))?;
        let address = address(&config.url).map_err(|error| ClickHouseError::Config(error.to_string()))?;
        if config.database.is_empty()
            || !config.database.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(ClickHouseError::Config("database must be letters, digits and underscores".to_owned()));
        }
        let of_url = |part: Option<&str>| part.map(percent_decoded).filter(|text| !text.is_empty());
        let user = if config.user.is_empty() { of_url(Some(base.username())) } else { Some(config.user.clone()) };
        let password = if config.password.is_empty() { of_url(base.password()) } else { Some(config.password.clone()) };
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_millis(config.connect_timeout_ms)))
            .timeout_global(Some(Duration::from_millis(config.timeout_ms)));
        match base.scheme() {
            "http" => {}
            "https" => builder = builder.tls_config(tls_config(config)?).https_only(true),
            other => return Err(ClickHouseError::Config(format!("url must be http or https, not {other}"))),
        }
        // Neither fails for http and https addresses.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self {
            agent: builder.build().new_agent(),
            base,
            address,
            database: config.database.clone(),
            user: user.unwrap_or_default(),
            password: Secret(password.unwrap_or_default()),
        })
    }

    /// The database of all tables.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs a statement that returns nothing.
    pub fn execute(&self, sql: &str) -> Result<(), ClickHouseError> {
        self.request(Some(&self.database), &[], sql.as_bytes()).map(|_| ())
    }

    /// Runs a statement outside our database, which may not be there yet.
    pub(super) fn execute_outside(&self, sql: &str) -> Result<(), ClickHouseError> {
        self.request(None, &[], sql.as_bytes()).map(|_| ())
    }

    /// The one number a query returns that does not need our database.
    pub(super) fn outside_number(&self, sql: &str) -> Result<u64, ClickHouseError> {
        self.number_in(None, sql)
    }

    /// Rows of a small query as tab-separated text, one field list a row. Fields must not hold tabs or line ends.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, ClickHouseError> {
        self.rows_in(Some(&self.database), sql)
    }

    fn rows_in(&self, database: Option<&str>, sql: &str) -> Result<Vec<Vec<String>>, ClickHouseError> {
        let settings = [("default_format", "TabSeparated")];
        let mut response = self.request(database, &settings, sql.as_bytes())?;
        let answer = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_string()
            .map_err(|error| self.unreachable(&error))?;
        Ok(answer.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// The one number a query returns.
    pub fn number(&self, sql: &str) -> Result<u64, ClickHouseError> {
        self.number_in(Some(&self.database), sql)
    }

    fn number_in(&self, database: Option<&str>, sql: &str) -> Result<u64, ClickHouseError> {
        let rows = self.rows_in(database, sql)?;
        let text = rows.first().and_then(|row| row.first()).map_or("", String::as_str);
        text.parse().map_err(|_| self.unexpected(format!("{text:?} where a number was asked for")))
    }

    /// Runs a query and writes its answer as it comes. A FORMAT clause in the query wins over `format`.
    pub fn query(&self, sql: &str, format: QueryFormat, out: &mut dyn Write) -> Result<(), ClickHouseError> {
        let name = match format {
            QueryFormat::Table => "PrettyCompactMonoBlock",
            QueryFormat::Csv => "CSVWithNames",
            QueryFormat::Json => "JSONEachRow",
        };
        let settings = [
            ("default_format", name),
            ("output_format_json_array_of_rows", "1"),
            ("output_format_json_quote_64bit_integers", "0"),
            ("output_format_json_quote_decimals", "0"),
            ("output_format_decimal_trailing_zeros", "1"),
            ("output_format_pretty_color", "0"),
            ("output_format_pretty_row_numbers", "0"),
            ("output_format_pretty_max_rows", "10000"),
            ("output_format_pretty_highlight_digit_groups", "0"),
            ("output_format_pretty_single_large_number_tip_threshold", "0"),
            ("date_time_output_format", "iso"),
            ("format_csv_null_representation", ""),
            // The status must speak of the whole answer, not of its first bytes.
            ("wait_end_of_query", "1"),
        ];
        let mut response = self.request(Some(&self.database), &settings, sql.as_bytes())?;
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            let read = reader.read(&mut buffer).map_err(|error| ClickHouseError::Unreachable {
                address: self.address.clone(),
                why: error.to_string(),
            })?;
            match buffer.get(..read) {
                Some([]) | None => return Ok(()),
                Some(bytes) => out.write_all(bytes)?,
            }
        }
    }

    /// Inserts a body of rows; the statement names table, columns and format.
    pub(super) fn insert(
        &self,
        statement: &str,
        settings: &[(&str, &str)],
        rows: &[u8],
    ) -> Result<(), ClickHouseError> {
        let mut parameters = vec![("query", statement)];
        parameters.extend_from_slice(settings);
        self.request(Some(&self.database), &parameters, rows).map(|_| ())
    }

    fn request(
        &self,
        database: Option<&str>,
        parameters: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<ureq::Body>, ClickHouseError> {
        let mut url = self.base.clone();
        url.query_pairs_mut().extend_pairs(database.map(|name| ("database", name))).extend_pairs(parameters);
        let mut request = self.agent.post(url.as_str()).content_type("application/octet-stream");
        if !self.user.is_empty() {
            request = request.header("X-ClickHouse-User", &self.user);
        }
        if !self.password.0.is_empty() {
            request = request.header("X-ClickHouse-Key", &self.password.0);
        }
        let mut response = request.send(body).map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let header = response.headers().get("X-ClickHouse-Exception-Code");
        let code = header.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let mut text = Vec::new();
        // What cannot be read of an error text is no further error.
        let _ = response.body_mut().as_reader().take(ERROR_TEXT_BYTES).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Err(ClickHouseError::Server {
            address: self.address.clone(),
            code: code.or_else(|| code_in(&text)).unwrap_or(0),
            status: response.status().as_u16(),
            text,
        })
    }

    /// ureq's errors name neither headers nor the URL's parameters.
    fn unreachable(&self, error: &ureq::Error) -> ClickHouseError {
        ClickHouseError::Unreachable { address: self.address.clone(), why: error.to_string() }
    }

    pub(super) fn unexpected(&self, text: String) -> ClickHouseError {
        ClickHouseError::Unexpected { address: self.address.clone(), text }
    }
}

/// The code in an error text that begins `Code: 60. DB::Exception: …`.
fn code_in(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("Code: ")?;
    rest.split('.').next()?.parse().ok()
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;

    #[test]
    fn neither_debug_nor_errors_show_a_password() {
        let config = ClickHouseConfig {
            url: "http://me:hunter2@127.0.0.1:1/?password=hunter2".into(),
            password: "hunter3".into(),
            connect_timeout_ms: 500,
            timeout_ms: 500,
            ..ClickHouseConfig::default()
        };
        let client = ClickHouse::new(&config).unwrap();
        let error = client.execute("SELECT 1").unwrap_err();
        assert!(error.passes());
        for shown in [format!("{config:?}"), format!("{client:?}"), error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
        assert_eq!((client.user.as_str(), client.password.0.as_str()), ("me", "hunter3"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "localhost:8123", "ftp://host", "not an address hunter2"] {
            let error = ClickHouse::new(&ClickHouseConfig { url: url.into(), ..Default::default() }).unwrap_err();
            assert!(matches!(&error, ClickHouseError::Config(text) if !text.contains("hunter2")), "{error}");
        }
        let config = ClickHouseConfig { database: "a; DROP".into(), ..Default::default() };
        assert!(ClickHouse::new(&config).is_err());
    }

    #[test]
    fn reads_codes_and_knows_what_passes() {
        assert_eq!(code_in("Code: 60. DB::Exception: Table does not exist"), Some(60));
        assert_eq!(code_in("Bad gateway"), None);
        let server =
            |code, status| ClickHouseError::Server { address: String::new(), code, status, text: String::new() };
        assert!(server(252, 500).passes() && server(0, 503).passes() && server(0, 429).passes());
        assert!(!server(60, 404).passes() && !server(516, 403).passes() && !server(62, 400).passes());
        assert_eq!((server(243, 500).cause(), server(252, 500).cause()), (Cause::DiskFull, Cause::TooManyParts));
        let text = "Code: 1001. DB::Exception: filesystem error: No space left on device [/var/lib]".to_owned();
        let full = ClickHouseError::Server { address: String::new(), code: 1001, status: 500, text };
        assert!(full.passes() && full.cause() == Cause::DiskFull);
    }
}
