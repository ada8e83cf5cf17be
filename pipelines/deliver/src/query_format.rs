//! How a query's answer is written; the same for every warehouse.

use std::str::FromStr;

/// Format of a query's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryFormat {
    /// Boxes for humans.
    #[default]
    Table,
    /// Comma-separated values with a line of names; null is the empty field.
    Csv,
    /// One JSON array with an object a row; null is null, timestamps are RFC 3339 in UTC with milliseconds.
    Json,
}

impl FromStr for QueryFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            other => Err(format!("no format {other:?}: there are table, csv and json")),
        }
    }
}
