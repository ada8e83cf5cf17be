//! The files that should be there, and how what is there differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everything that is generated, by path.
#[derive(Default)]
pub struct Output {
    files: BTreeMap<PathBuf, String>,
    /// Folders in which only generated files of this extension may lie.
    owned: Vec<(PathBuf, &'static str)>,
}

impl Output {
    /// Adds a file.
    pub fn add(&mut self, path: PathBuf, content: String) {
        self.files.insert(path, content);
    }

    /// Claims a folder: a file there with this extension that is not generated is left over from a record that is gone.
    pub fn owns(&mut self, folder: PathBuf, extension: &'static str) {
        self.owned.push((folder, extension));
    }

    /// Lists what differs, and unless `check` mends it.
    pub fn settle(&self, check: bool) -> Result<Vec<String>, String> {
        let mut drifted = Vec::new();
        for (path, content) in &self.files {
            let current = std::fs::read_to_string(path).ok();
            if current.as_deref() == Some(content) {
                continue;
            }
            drifted.push(match &current {
                None => format!("{}: missing", path.display()),
                Some(current) => format!("{}:{}: differs", path.display(), first_difference(current, content)),
            });
            if !check {
                let failed = |error| format!("{}: {error}", path.display());
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(failed)?;
                }
                std::fs::write(path, content).map_err(failed)?;
            }
        }
        for (folder, extension) in &self.owned {
            for path in left_over(folder, extension, &self.files)? {
                drifted.push(format!("{}: left over", path.display()));
                if !check {
                    std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
        }
        Ok(drifted)
    }
}

fn first_difference(current: &str, content: &str) -> usize {
    1 + current.lines().zip(content.lines()).take_while(|(a, b)| a == b).count()
}

fn left_over(folder: &Path, extension: &str, files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.extension().is_some_and(|found| found == extension) && !files.contains_key(&path) {
            left.push(path);
        }
    }
    left.sort();
    Ok(left)
}
