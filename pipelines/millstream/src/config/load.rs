//! From file and environment to a validated configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use super::{Config, env, validate};

/// What is wrong with the configuration, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the file is wrong.
    #[error("{path}:{line}:{column}: {detail}\n    {text}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The line itself.
        text: String,
        /// What is wrong and what to do.
        detail: String,
    },
    /// An environment variable is wrong.
    #[error("environment variable {variable}: {detail}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong.
        detail: String,
    },
    /// File and environment together do not make sense.
    #[error("configuration: {0}")]
    Invalid(String),
}

/// Loads `path` (or only defaults where `None`), lays the environment over it and validates.
///
/// # Errors
/// With the line that is wrong, where the file is to blame.
pub fn load(path: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let (origin, text) = match path {
        None => (PathBuf::from("defaults"), String::new()),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            (path.to_owned(), text)
        }
    };
    // The file alone first: what is wrong in it is told with its line.
    let file_alone: Config =
        toml::from_str(&text).map_err(|error| at_line(&origin, &text, error.span(), error.message()))?;
    let mut table: Table =
        text.parse().map_err(|error: toml::de::Error| at_line(&origin, &text, error.span(), error.message()))?;
    let used = env::overlay(&mut table, variables)?;
    let config = if used.is_empty() {
        file_alone
    } else {
        Config::deserialize(toml::Value::Table(table)).map_err(|error| ConfigError::Environment {
            variable: used.join(", "),
            detail: explained(error.message()),
        })?
    };
    if let Some(problem) = validate::first_problem(&config) {
        return Err(match line_of(&text, problem.path, problem.section) {
            Some(span) => at_line(&origin, &text, Some(span), &problem.detail),
            None => ConfigError::Invalid(format!("{}: {}", problem.path.join("."), problem.detail)),
        });
    }
    Ok(config)
}

fn at_line(path: &Path, text: &str, span: Option<std::ops::Range<usize>>, detail: &str) -> ConfigError {
    let start = span.map_or(0, |span| span.start).min(text.len());
    let before = &text[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
    let mut source = text.lines().nth(line - 1).unwrap_or_default().trim_end().to_owned();
    if let Some((key, _)) = source.split_once('=') {
        // Also a misspelt one: what cannot be told apart from a secret is not shown.
        if env::is_secret(key) || key.trim().starts_with("pass") {
            source = format!("{key}= …");
        }
    }
    ConfigError::Line { path: path.to_owned(), line, column, text: source, detail: explained(detail) }
}

/// With what is expected, where a parser only says that it does not understand.
fn explained(detail: &str) -> String {
    if detail.contains("invalid socket address syntax") {
        return format!("{detail}: an address is host:port, for example 127.0.0.1:8080 or [::1]:8080");
    }
    detail.to_owned()
}

/// Where a key stands in the file: the first line that assigns the path's last part in its section, the `repeat`-th of that name;
/// else the heading of the table that the whole path names.
fn line_of(text: &str, path: &[&str], repeat: usize) -> Option<std::ops::Range<usize>> {
    let (key, section) = path.split_last()?;
    let (section, whole) = (section.join("."), path.join("."));
    let (mut current, mut repeated, mut offset) = (String::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let here = offset..offset + line.len();
        offset += line.len();
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim_start_matches('[').trim();
            repeated += usize::from(trimmed.starts_with("[[") && whole.starts_with(name));
            name.clone_into(&mut current);
            if current == whole && repeated.saturating_sub(1) == repeat {
                return Some(here);
            }
        } else if current == section
            && repeated.saturating_sub(1) == repeat
            && trimmed.split('=').next().is_some_and(|name| name.trim() == *key)
        {
            return Some(here);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("millstream.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), std::iter::empty())
    }

    fn line(text: &str) -> (usize, String) {
        match load_text(text) {
            Err(ConfigError::Line { line, detail, .. }) => (line, detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_work() {
        let config = load(None, std::iter::empty()).unwrap();
        assert_eq!(config.sites.len(), 1);
    }

    #[test]
    fn a_type_error_names_its_line() {
        assert_eq!(line("transport = \"kafka\"\npartitions = \"many\"\n").0, 2);
    }

    #[test]
    fn an_address_without_a_port_says_what_an_address_is() {
        let (at, detail) = line("[collect]\nlisten = \"127.0.0.1\"\n");
        assert!(at == 2 && detail.contains("host:port, for example 127.0.0.1:8080"), "{at}: {detail}");
        let variable = [("MILLSTREAM__COLLECT__LISTEN".to_owned(), "127.0.0.1".to_owned())];
        let error = load(None, variable.into_iter()).unwrap_err().to_string();
        assert!(error.contains("MILLSTREAM__COLLECT__LISTEN") && error.contains("host:port"), "{error}");
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let (at, detail) = line("[kafka]\nbrokers = \"a:1\"\nbroker = \"b:1\"\n");
        assert_eq!(at, 3);
        assert!(detail.contains("broker"), "{detail}");
    }

    #[test]
    fn a_misspelt_setting_of_a_site_is_refused() {
        let text = "[[sites]]\nname = \"shop\"\nwrite_keys = [\"key-of-shop\"]\n[sites.settings]\nsession_sorce = \"tracker\"\n";
        match load_text(text) {
            Err(error) => assert!(error.to_string().contains("session_sorce"), "{error}"),
            Ok(_) => panic!("it was taken"),
        }
    }

    #[test]
    fn what_is_wrong_with_the_second_site_names_its_line() {
        let shop = |name: &str, key: &str| format!("[[sites]]\nname = \"{name}\"\nwrite_keys = [\"{key}\"]\n");
        let first = shop("one", "key-of-one");
        assert_eq!(line(&format!("{first}{}", shop("two", "short"))).0, 6);
        assert_eq!(line(&format!("{first}{}", shop("t/o", "key-of-two"))).0, 5);
        let settings = "[sites.settings]\nsession_gap_ms = 0\n";
        assert_eq!(line(&format!("{first}{}{settings}", shop("two", "key-of-two"))).0, 7);
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        assert_eq!(line("[collect]\nappend_timeout_ms = 0\n").0, 2);
        assert_eq!(line("[collect]\nmax_body_bytes = 0\n").0, 2);
        let shop = "[[sites]]\nname = \"shop\"\nwrite_keys = [\"key-of-shop\"]\nmax_events_per_second = 3\n";
        assert_eq!(line(shop).0, 4);
    }

    #[test]
    fn a_read_token_is_long_and_no_write_key() {
        let shop = |token: &str| {
            format!("[[sites]]\nname = \"shop\"\nwrite_keys = [\"write-key-of-shop\"]\nread_tokens = [\"{token}\"]\n")
        };
        assert!(load_text(&shop("read-token-of-shop")).is_ok());
        for (token, wrong) in [("short", "16 or more"), ("write-key-of-shop", "public")] {
            let (at, detail) = line(&shop(token));
            assert_eq!(at, 4);
            assert!(detail.contains(wrong), "{detail}");
        }
    }

    #[test]
    fn a_place_of_snapshots_that_is_none_names_its_line() {
        assert_eq!(line("[snapshots]\nurl = \"s3:/bucket\"\n").0, 2);
        let (at, detail) = line("[snapshots]\nurl = \"s3://UP/a\"\n");
        assert_eq!(at, 2);
        assert!(detail.contains(if cfg!(feature = "s3") { "bucket" } else { "--features s3" }), "{detail}");
        assert!(load_text("[snapshots]\nurl = \"file:///a\"\n").is_ok());
    }

    #[cfg(feature = "s3")]
    #[test]
    fn what_is_wrong_with_object_storage_names_its_line() {
        let plain = "[snapshots]\nurl = \"s3://bucket/a\"\nendpoint = \"http://a:1\"\n";
        assert_eq!(line(plain).0, 3);
        assert!(load_text(&format!("{plain}allow_http = true\n")).is_ok());
        let half = "[snapshots]\nurl = \"s3://bucket\"\nsecret_access_key = \"hidden\"\n";
        let error = load_text(half).unwrap_err().to_string();
        assert!(error.contains(":3:") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn the_secret_of_snapshots_is_not_shown() {
        let variable = ("MILLSTREAM__SNAPSHOTS__SECRET_ACCESS_KEY".to_owned(), "hidden".to_owned());
        let config = load(None, std::iter::once(variable)).unwrap();
        assert_eq!(config.snapshots.secret_access_key, "hidden");
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn a_senseless_value_names_its_line() {
        assert_eq!(line("# none\npartitions = 0\n").0, 2);
        assert_eq!(line("[kafka]\nsecurity = \"open\"\n").0, 2);
        assert_eq!(line("[deliver]\nmax_rows = 5\npurposes = [\"profit\"]\n").0, 3);
    }
}
