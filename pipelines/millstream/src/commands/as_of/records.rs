//! Rows of a CSV answer as it comes, so that it is never held whole.

use std::io;

/// Bytes of one row at most.
const ROW_MAX_BYTES: usize = 1 << 20;

/// Cuts bytes into rows. Feed it, then say that it ends.
#[derive(Debug, Default)]
pub(super) struct Records {
    row: Vec<u8>,
    in_quotes: bool,
}

impl Records {
    /// Takes bytes in and calls `each` with the fields of every row that is complete.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Vec<String>) -> io::Result<()>) -> io::Result<()> {
        for &byte in bytes {
            if byte == b'\n' && !self.in_quotes {
                each(fields(&std::mem::take(&mut self.row))?)?;
                continue;
            }
            if byte == b'"' {
                self.in_quotes = !self.in_quotes;
            }
            if self.row.len() >= ROW_MAX_BYTES {
                return Err(io::Error::other(format!("a row of the answer is longer than {ROW_MAX_BYTES} bytes")));
            }
            self.row.push(byte);
        }
        Ok(())
    }

    /// Whether the last row ended.
    pub(super) fn is_complete(&self) -> bool {
        self.row.is_empty() && !self.in_quotes
    }
}

/// The fields of a row: quoted where they hold commas, quotes or line ends, a quote in them doubled.
fn fields(row: &[u8]) -> io::Result<Vec<String>> {
    let row = row.strip_suffix(b"\r").unwrap_or(row);
    let mut all = Vec::new();
    let mut field = Vec::new();
    let mut in_quotes = false;
    let mut bytes = row.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if in_quotes && bytes.peek() == Some(&b'"') => {
                field.push(b'"');
                bytes.next();
            }
            b'"' => in_quotes = !in_quotes,
            b',' if !in_quotes => all.push(text(std::mem::take(&mut field))?),
            _ => field.push(byte),
        }
    }
    all.push(text(field)?);
    Ok(all)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::other(format!("the answer is not valid UTF-8: {error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_whole_however_they_are_cut() {
        let csv = b"a,b\r\n\"x, \"\"y\"\"\nz\",\n,2\n";
        for size in 1..csv.len() {
            let mut rows = Vec::new();
            let mut records = Records::default();
            for part in csv.chunks(size) {
                records
                    .feed(part, |row| {
                        rows.push(row);
                        Ok(())
                    })
                    .unwrap();
            }
            assert!(records.is_complete());
            assert_eq!(rows, [["a", "b"], ["x, \"y\"\nz", ""], ["", "2"]]);
        }
    }
}
