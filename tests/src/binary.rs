//! The `millstream` binary as a user runs it: commands, a running service, answers as text.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::skip::need;

/// The binary: `MILLSTREAM_BIN`, else the one beside the running test or program.
pub fn millstream() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLSTREAM_BIN").filter(|path| !path.is_empty()) {
        return PathBuf::from(path);
    }
    // target/debug/deps/golden-… or target/debug/storm → target/debug/millstream
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).unwrap();
    let binary = folder.join("millstream");
    assert!(binary.is_file(), "{}: build it first, or name it with MILLSTREAM_BIN", binary.display());
    binary
}

/// The checkout's folder, to find what is in `examples`.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// An installation of its own: a data directory, and where it is on servers, a namespace and a database. Both end with the value.
#[derive(Debug)]
pub struct Installation {
    directory: TempDir,
    variables: Vec<(String, String)>,
    config: Option<PathBuf>,
    on_servers: bool,
}

impl Installation {
    /// Everything in one folder.
    pub fn embedded() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let variables = vec![("MILLSTREAM_DATA_DIR".to_owned(), directory.path().display().to_string())];
        Self { directory, variables, config: None, on_servers: false }
    }

    /// Kafka and ClickHouse; without the servers that the environment names, `test` is skipped.
    pub fn on_servers(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (brokers, url) = (need(test, "KAFKA_BROKERS")?, need(test, "CLICKHOUSE_URL")?);
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("golden_{seconds}_{}_{number}", std::process::id());
        let set = [
            ("TRANSPORT", "kafka"),
            ("KAFKA__BROKERS", &brokers),
            ("KAFKA__DEVELOPMENT", "true"),
            ("WAREHOUSE", "clickhouse"),
            ("CLICKHOUSE__URL", &url),
            ("CLICKHOUSE__DATABASE", &name),
            ("NAMESPACE", &format!("{name}.")),
        ];
        let mut installation = Self::embedded();
        installation.on_servers = true;
        for (key, value) in set {
            installation.set(key, value);
        }
        for (variable, key) in [("CLICKHOUSE_USER", "USER"), ("CLICKHOUSE_PASSWORD", "PASSWORD")] {
            if let Ok(value) = std::env::var(variable) {
                installation.set(&format!("CLICKHOUSE__{key}"), &value);
            }
        }
        Some(installation)
    }

    /// Overrides a key of the configuration, `SECTION__KEY`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.variables.push((format!("MILLSTREAM__{key}"), value.to_owned()));
    }

    /// Runs with a configuration file.
    pub fn with_config(mut self, path: &Path) -> Self {
        self.config = Some(path.to_owned());
        self
    }

    /// Runs with a configuration of this text.
    pub fn with_config_text(self, text: &str) -> Self {
        let path = self.write("millstream.toml", text);
        self.with_config(&path)
    }

    /// A file in the installation's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The data directory.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// A topic's full name.
    pub fn topic(&self, name: &str) -> String {
        let namespace = self.variables.iter().find(|(key, _)| key == "MILLSTREAM__NAMESPACE");
        format!("{}{name}", namespace.map_or("", |(_, value)| value))
    }

    /// A command of the binary, in this installation and nothing else of the environment's.
    pub fn command(&self) -> Command {
        let mut command = Command::new(millstream());
        for (name, _) in std::env::vars() {
            if name.starts_with("MILLSTREAM") {
                command.env_remove(name);
            }
        }
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Imports and returns what was said about it.
    pub fn import(&self, mapping: &Path, data: &[PathBuf]) -> String {
        let output = self.try_import(mapping, data);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "import of {} failed:\n{said}", mapping.display());
        said
    }

    /// Imports; the caller looks how it ended.
    pub fn try_import(&self, mapping: &Path, data: &[PathBuf]) -> Output {
        self.command().arg("import").arg("--mapping").arg(mapping).args(data).output().unwrap()
    }

    /// The rows of a query, each as its values joined by `|`; nothing where there is none.
    pub fn query(&self, sql: &str) -> Vec<String> {
        self.try_query(sql).unwrap_or_else(|said| panic!("{sql}\n{said}"))
    }

    /// As [`Self::query`], or what was said where it failed.
    pub fn try_query(&self, sql: &str) -> Result<Vec<String>, String> {
        let output = self.command().args(["query", sql, "--format", "csv"]).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut reader = csv::ReaderBuilder::new().from_reader(output.stdout.as_slice());
        Ok(reader.records().map(|row| row.unwrap().iter().collect::<Vec<_>>().join("|")).collect())
    }

    /// Each query must give exactly the rows beside it, one line a row.
    pub fn expect(&self, table: &[(&str, &str)]) {
        let mut wrong = Vec::new();
        for (sql, expected) in table {
            let got = self.query(sql).join("\n");
            if got != *expected {
                wrong.push(format!("{sql}\n  expected: {expected:?}\n  got:      {got:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // The servers are shared and not ours; what is left on them when this fails disturbs nobody.
        if self.on_servers {
            let value = |key: &str| {
                let name = format!("MILLSTREAM__CLICKHOUSE__{key}");
                self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
            };
            if let (Some(url), Some(database)) = (value("URL"), value("DATABASE")) {
                let mut request = ureq::post(&url);
                for (header, key) in [("X-ClickHouse-User", "USER"), ("X-ClickHouse-Key", "PASSWORD")] {
                    if let Some(value) = value(key) {
                        request = request.header(header, value);
                    }
                }
                let _ = request.send(format!("DROP DATABASE IF EXISTS `{database}`"));
            }
        }
    }
}
