//! Conditions on a row, and the rules that choose what becomes of it.

use millstream_schemas::Decimal;

use super::columns::Columns;
use super::text::{Node, Table};
use super::value::{BadValue, VALUE_KEYS, ValueSpec, decimal};
use crate::error::MappingError;
use crate::read::Cells;

/// A rule: the first whose conditions all hold decides.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    conditions: Vec<Condition>,
    pub(crate) fate: Fate,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is (part of) the event of this kind: index into the mapping's events.
    Event(usize),
    /// It goes to the dead letters for this reason.
    Reject(String),
    /// It is left out on purpose and counted.
    Skip,
}

#[derive(Debug, Clone)]
struct Condition {
    value: ValueSpec,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    StartsWith(String),
    NotStartsWith(String),
    Contains(String),
    Empty(bool),
    LessThan(Decimal),
    AtMost(Decimal),
    MoreThan(Decimal),
    AtLeast(Decimal),
}

const TESTS: [&str; 12] = [
    "equals",
    "not_equals",
    "in",
    "not_in",
    "starts_with",
    "not_starts_with",
    "contains",
    "empty",
    "less_than",
    "at_most",
    "more_than",
    "at_least",
];

impl Rule {
    /// Reads a `[[rule]]`. `event` finds the index of an event by its name.
    pub(crate) fn read(
        table: Table<'_>,
        columns: &mut Columns,
        event: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, MappingError> {
        table.only(&["when", "event", "reject", "skip"])?;
        let conditions =
            table.list("when")?.into_iter().map(|node| Condition::read(node, columns)).collect::<Result<_, _>>()?;
        let fate = match (table.get("event"), table.get("reject"), table.flag("skip")?) {
            (Some(node), None, None) => {
                let name = node.text("event")?;
                Fate::Event(event(name).ok_or_else(|| node.error(format!("there is no table [event.{name}]")))?)
            }
            (None, Some(node), None) => {
                let reason = node.text("reject")?;
                if reason.is_empty() {
                    return Err(node.error("`reject` says why"));
                }
                Fate::Reject(reason.to_owned())
            }
            (None, None, Some(true)) => Fate::Skip,
            _ => {
                return Err(table
                    .error("a rule has exactly one of `event = \"name\"`, `reject = \"reason\"` and `skip = true`"));
            }
        };
        Ok(Self { conditions, fate })
    }

    /// A rule for every row.
    pub(crate) fn always(fate: Fate) -> Self {
        Self { conditions: Vec::new(), fate }
    }

    /// Whether all conditions hold.
    pub(crate) fn holds(&self, row: &Cells<'_>, scratch: &mut String) -> Result<bool, BadValue> {
        for condition in &self.conditions {
            if !condition.holds(row, scratch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Condition {
    fn read(node: Node<'_>, columns: &mut Columns) -> Result<Self, MappingError> {
        let table = node.table("when")?;
        let known: Vec<&str> = VALUE_KEYS.iter().chain(&TESTS).copied().collect();
        table.only(&known)?;
        let mut tests = Vec::new();
        for (key, _, value) in table.entries().filter(|(key, ..)| TESTS.contains(key)) {
            tests.push(Test::read(key, value)?);
        }
        let [test] = <[Test; 1]>::try_from(tests)
            .map_err(|_| table.error(format!("a condition has exactly one test of: {}", TESTS.join(", "))))?;
        Ok(Self { value: ValueSpec::read_table(table, columns)?, test })
    }

    fn holds(&self, row: &Cells<'_>, text: &mut String) -> Result<bool, BadValue> {
        self.value.eval(row, text)?;
        Ok(match &self.test {
            Test::In(list) => list.contains(text),
            Test::NotIn(list) => !list.contains(text),
            Test::StartsWith(prefix) => text.starts_with(prefix.as_str()),
            Test::NotStartsWith(prefix) => !text.starts_with(prefix.as_str()),
            Test::Contains(part) => text.contains(part.as_str()),
            Test::Empty(wanted) => text.is_empty() == *wanted,
            Test::LessThan(bound) => decimal(text)? < *bound,
            Test::AtMost(bound) => decimal(text)? <= *bound,
            Test::MoreThan(bound) => decimal(text)? > *bound,
            Test::AtLeast(bound) => decimal(text)? >= *bound,
        })
    }
}

impl Test {
    fn read(key: &str, node: Node<'_>) -> Result<Self, MappingError> {
        let list = || node.list(key)?.into_iter().map(|item| item.scalar(key)).collect::<Result<Vec<_>, _>>();
        let number = || {
            let text = node.scalar(key)?;
            Decimal::parse_exact(&text).map_err(|error| node.error(format!("`{key}`: `{text}` is {error}")))
        };
        Ok(match key {
            "equals" => Self::In(vec![node.scalar(key)?]),
            "not_equals" => Self::NotIn(vec![node.scalar(key)?]),
            "in" => Self::In(list()?),
            "not_in" => Self::NotIn(list()?),
            "starts_with" => Self::StartsWith(node.scalar(key)?),
            "not_starts_with" => Self::NotStartsWith(node.scalar(key)?),
            "contains" => Self::Contains(node.scalar(key)?),
            "empty" => Self::Empty(match node.scalar(key)?.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(node.error("`empty` must be true or false")),
            }),
            "less_than" => Self::LessThan(number()?),
            "at_most" => Self::AtMost(number()?),
            "more_than" => Self::MoreThan(number()?),
            _ => Self::AtLeast(number()?),
        })
    }
}
