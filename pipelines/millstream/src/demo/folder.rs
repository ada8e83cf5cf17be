//! The demo's data directory: it begins anew each time, and never where somebody's data are.

use std::path::Path;

use crate::error::Failure;

const MARK: &str = "made-by-demo";

/// Empties a data directory that an earlier demo made, or marks a new one.
///
/// # Errors
/// Where the directory holds something else.
pub fn begin(directory: &Path) -> Result<(), Failure> {
    let mark = directory.join(MARK);
    let begun = directory.join("log").exists() || directory.join("warehouse").exists();
    if begun && !mark.exists() {
        return Err(Failure::new(format!(
            "{} holds data that no demo made; give the demo a directory of its own: MILLSTREAM_DATA_DIR=some/where",
            directory.display()
        )));
    }
    for part in ["log", "warehouse"] {
        let path = directory.join(part);
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(|error| Failure::file(&path, error))?;
        }
    }
    std::fs::create_dir_all(directory).map_err(|error| Failure::file(directory, error))?;
    std::fs::write(&mark, "The next demo empties this directory.\n").map_err(|error| Failure::file(&mark, error))
}
