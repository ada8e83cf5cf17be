//! A development server of a test's own, which it may kill.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary::checkout;
use crate::skip::skip;

/// The exit code of `dev-*` where the machine lacks something.
const MISSING: i32 = 4;

/// A server in a directory of its own; it is stopped with the value.
#[derive(Debug)]
pub struct DevServer {
    script: PathBuf,
    directory: TempDir,
    /// Its address, as the script says it.
    pub address: String,
}

impl DevServer {
    /// Starts `scripts/dev-<kind>`, which says its address as `variable`. Where the machine lacks what it needs, `test` is skipped.
    pub fn start(test: &str, kind: &str, variable: &str) -> Option<Self> {
        let script = checkout().join("scripts").join(format!("dev-{kind}"));
        let mut server = Self { script, directory: tempfile::tempdir().unwrap(), address: String::new() };
        let (code, said, complaint) = server.run("start").unwrap_or((Some(MISSING), String::new(), "no Python".into()));
        if code == Some(MISSING) {
            skip(test, complaint.trim());
            return None;
        }
        assert_eq!(code, Some(0), "{kind} did not start:\n{complaint}");
        let address = said.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
        server.address = address.unwrap_or_else(|| panic!("no {variable} in {said:?}")).to_owned();
        Some(server)
    }

    /// Where its data and its log are.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// Where that fails.
    pub fn kill(&self) {
        let (code, _, complaint) = self.run("kill").unwrap();
        assert_eq!(code, Some(0), "{complaint}");
    }

    /// Starts it again, with its data and its address.
    ///
    /// # Panics
    /// Where that fails.
    pub fn start_again(&self) {
        let (code, said, complaint) = self.run("start").unwrap();
        assert_eq!(code, Some(0), "{complaint}");
        assert!(said.contains(&self.address), "came back at another address: {said}");
    }

    fn run(&self, what: &str) -> Option<(Option<i32>, String, String)> {
        let output = Command::new(&self.script).arg(what).arg("--data").arg(self.directory.path()).output().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        let _ = self.run("kill");
    }
}
