//! Environment overrides.

use toml::{Table, Value};

use super::ConfigError;

const PREFIX: &str = "MILLSTREAM__";

/// Lays `MILLSTREAM__SECTION__KEY=value` and `MILLSTREAM_DATA_DIR` over the file's table. Values are read as TOML where they parse
/// (numbers, booleans, arrays), else as text. Returns the names of the variables that were used.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut used = Vec::new();
    let mut variables: Vec<_> = variables.collect();
    variables.sort();
    for (name, text) in variables {
        if name == "MILLSTREAM_DATA_DIR" {
            table.insert("data_dir".to_owned(), Value::String(text));
            used.push(name);
        } else if let Some(path) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            insert(table, &path, value(&path, &text)).map_err(|at| ConfigError::Environment {
                variable: name.clone(),
                detail: format!("`{at}` is not a section"),
            })?;
            used.push(name);
        }
    }
    Ok(used)
}

fn value(path: &[String], text: &str) -> Value {
    // A password is text, whatever it looks like.
    if path.last().is_some_and(|key| is_secret(key)) {
        return Value::String(text.to_owned());
    }
    match format!("value = {text}").parse::<Table>() {
        Ok(mut parsed) => parsed.remove("value").unwrap_or_else(|| Value::String(text.to_owned())),
        Err(_) => Value::String(text.to_owned()),
    }
}

/// Whether a key's value must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    ["passw", "secret", "write_key", "read_token"].iter().any(|part| key.contains(part))
}

fn insert(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [key] => {
            table.insert(key.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = entry else { return Err(section.clone()) };
            insert(inner, rest, value)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn variables_override_the_file() {
        let mut table: Table = "partitions = 4\n[kafka]\nbrokers = \"a:1\"".parse().unwrap();
        let variables = [
            ("MILLSTREAM__KAFKA__BROKERS", "b:2"),
            ("MILLSTREAM__PARTITIONS", "8"),
            ("MILLSTREAM_DATA_DIR", "/x"),
            ("MILLSTREAM__KAFKA__PASSWORD", "12345678"),
            ("HOME", "/h"),
        ];
        let used = overlay(&mut table, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap();
        assert_eq!(used.len(), 4);
        assert_eq!(table["kafka"]["password"].as_str(), Some("12345678"));
        assert_eq!(table["kafka"]["brokers"].as_str(), Some("b:2"));
        assert_eq!(table["partitions"].as_integer(), Some(8));
        assert_eq!(table["data_dir"].as_str(), Some("/x"));
    }
}
