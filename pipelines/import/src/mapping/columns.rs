//! The columns a mapping names, and where in a file they are.

use crate::error::MappingError;

/// A column the mapping names: index into [`Columns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnId(pub(crate) usize);

/// Every column the mapping names, with the place that names it first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    named: Vec<Named>,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    place: MappingError,
    /// Whether a file must have it.
    required: bool,
}

/// The position of an optional column that a file does not have: every cell there is empty.
const NOWHERE: usize = usize::MAX;

impl Columns {
    /// The id of a column; `place` says where the mapping names it.
    pub(crate) fn id(&mut self, name: &str, place: MappingError, required: bool) -> ColumnId {
        if let Some((id, known)) = self.named.iter_mut().enumerate().find(|(_, known)| known.name == name) {
            if required && !known.required {
                known.required = true;
                known.place = place;
            }
            return ColumnId(id);
        }
        self.named.push(Named { name: name.to_owned(), place, required });
        ColumnId(self.named.len() - 1)
    }

    /// All names, in the order of their ids.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|named| named.name.as_str())
    }

    /// For each named column its position in a file with these columns.
    pub(crate) fn bind(&self, file: &str, header: &[String]) -> Result<Vec<usize>, MappingError> {
        self.named
            .iter()
            .map(|Named { name, place, required }| {
                let mut found = header.iter().enumerate().filter(|(_, column)| *column == name);
                match (found.next(), found.next()) {
                    (Some((at, _)), None) => Ok(at),
                    (Some(_), Some(_)) => {
                        Err(place.with(format!("{file} has several columns `{name}`; name them apart with `columns`")))
                    }
                    (None, _) if !required => Ok(NOWHERE),
                    (None, _) => Err(self.missing(name, place, file, header)),
                }
            })
            .collect()
    }

    /// The error for a column that no row of `file` has.
    pub(crate) fn absent(&self, id: usize, file: &str, seen: &[String]) -> Option<MappingError> {
        let named = self.named.get(id).filter(|named| named.required)?;
        Some(self.missing(&named.name, &named.place, file, seen))
    }

    fn missing(&self, name: &str, place: &MappingError, file: &str, there: &[String]) -> MappingError {
        place.with(format!("{file} has no column `{name}`; its columns are: {}", there.join(", ")))
    }
}

impl MappingError {
    fn with(&self, message: String) -> Self {
        Self { message, ..self.clone() }
    }
}
