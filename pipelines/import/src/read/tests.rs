#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Columns a and b, whatever else there is.
const MAPPING: &str =
    "[source]\nformat = \"FORMAT\"\nOPTIONS\n[time]\ncolumn = \"a\"\n[event.e]\ntype = \"page_view\"\nuser = \"{b}\"\n";

struct Given {
    folder: tempfile::TempDir,
    mapping: Mapping,
}

fn given(format: &str, options: &str) -> Given {
    let text = MAPPING.replace("FORMAT", format).replace("OPTIONS", options);
    Given { folder: tempfile::tempdir().unwrap(), mapping: Mapping::parse("m.toml", &text).unwrap() }
}

impl Given {
    fn file(&self, content: &[u8]) -> InputFile {
        let path = self.folder.path().join("data");
        std::fs::write(&path, content).unwrap();
        InputFile::all(&[path]).unwrap().remove(0)
    }

    /// Rows as `line|a|b`, bad ones as `line!reason|raw`.
    fn read(&self, content: &[u8], limit_bytes: usize) -> Result<Vec<String>, String> {
        let file = self.file(content);
        let mut rows = open_rows(&file, &self.mapping, None, limit_bytes).map_err(|error| error.to_string())?;
        let mut row = Row::default();
        let mut out = Vec::new();
        loop {
            match rows.next(&mut row).map_err(|error| error.to_string())? {
                Step::End => break,
                Step::Bad { reason, .. } => {
                    out.push(format!("{}!{reason}|{}", row.line, String::from_utf8_lossy(&row.raw)));
                }
                Step::Row => {
                    let cells: Vec<&str> = rows.binding().iter().map(|at| row.cell(*at)).collect();
                    out.push(format!("{}|{}", row.line, cells.join("|")));
                }
            }
        }
        rows.finish(&self.mapping.columns).map_err(|error| error.to_string())?;
        Ok(out)
    }
}

#[test]
fn csv_lines_count_quoted_breaks_blank_lines_and_both_line_ends() {
    let csv = given("csv", "");
    let want = ["2|1|x", "3|2|y\nz", "6|3|w"].map(str::to_owned);
    assert_eq!(csv.read(b"a,b\n1,x\n2,\"y\nz\"\n\n3,w", 1000).unwrap(), want);
    let want = ["2|1|x", "3|2|y\r\nz", "6|3|w"].map(str::to_owned);
    assert_eq!(csv.read(b"\xef\xbb\xbfa,b\r\n1,x\r\n2,\"y\r\nz\"\r\n\r\n3,w\r\n", 1000).unwrap(), want);
}

#[test]
fn csv_rows_that_do_not_fit_keep_their_bytes() {
    let rows = given("csv", "").read(b"a,c,b\n1,2\n\"1\",\"q,\"\"\",3,4\n1,\xff,\xfe\n7,8,9\n", 1000).unwrap();
    assert_eq!(
        rows,
        [
            "2!unreadable_row|1,2",
            "3!unreadable_row|\"1\",\"q,\"\"\",3,4",
            "4!invalid_utf8|1,\u{fffd},\u{fffd}",
            "5|7|9"
        ]
    );
}

#[test]
fn csv_without_header_and_with_another_delimiter_and_without_quotes() {
    let rows = given("csv", "columns = [\"b\", \"a\"]\ndelimiter = \"\\t\"\nquote = \"\"")
        .read(b"x\t\"1\ny\t2\n", 1000)
        .unwrap();
    assert_eq!(rows, ["1|\"1|x", "2|2|y"]);
}

#[test]
fn csv_with_columns_padded_by_spaces() {
    let rows = given("csv", "delimiter = \" \"\npadded = true")
        .read(b"   a    b\n   1   x\r\n  20  yz  \n 3\n", 1000)
        .unwrap();
    assert_eq!(rows, ["2|1|x", "3|20|yz", "4!unreadable_row| 3"]);
}

#[test]
fn csv_quote_that_is_never_closed_is_told_with_its_line() {
    let mut content = b"a,b\n1,x\n2,\"".to_vec();
    content.extend(std::iter::repeat_n(b'y', 50_000));
    let told = given("csv", "").read(&content, 10_000).unwrap_err();
    assert!(told.contains("line 3:") && told.contains("a quote is not closed"), "{told}");
}

#[test]
fn csv_without_the_column_or_without_anything_is_refused() {
    let told = given("csv", "").read(b"a,c\n1,2\n", 1000).unwrap_err();
    assert_eq!(told, "m.toml:8:8: data has no column `b`; its columns are: a, c");
    assert!(given("csv", "").read(b"", 1000).unwrap_err().contains("the file is empty"));
}

#[test]
fn gzip_is_recognised_by_content_even_in_several_members() {
    let mut packed = Vec::new();
    for part in [b"a,b\n1,x\n".as_slice(), b"2,y\n"] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        packed.extend(encoder.finish().unwrap());
    }
    assert_eq!(given("csv", "").read(&packed, 1000).unwrap(), ["2|1|x", "3|2|y"]);
    packed.truncate(packed.len() - 6);
    assert!(given("csv", "").read(&packed, 1000).unwrap_err().contains("nothing has been written"));
}

#[test]
fn json_lines_keep_digits_and_reject_what_is_none() {
    let content = b"{\"a\":1.10000000000000000001,\"b\":\"x\\u00e9\"}\n\n[1]\n{\"a\":null,\"b\":{\"c\":[1]}}\r\n\xff\n{\"a\":true";
    let rows = given("jsonl", "").read(content, 1000).unwrap();
    assert_eq!(
        rows,
        [
            "1|1.10000000000000000001|x\u{e9}",
            "3!invalid_json|[1]",
            "4||{\"c\":[1]}",
            "5!invalid_utf8|\u{fffd}",
            "6!invalid_json|{\"a\":true",
        ]
    );
}

#[test]
fn json_lines_that_are_too_long_are_cut_and_the_next_is_read() {
    let rows = given("jsonl", "").read(b"{\"a\":\"0123456789\",\"b\":1}\n{\"a\":1,\"b\":2}\n", 16).unwrap();
    assert_eq!(rows, ["1!unreadable_row|{\"a\":\"0123456789", "2|1|2"]);
}

#[test]
fn json_lines_in_which_no_row_has_the_column_are_refused() {
    let told = given("jsonl", "").read(b"{\"a\":1}\n{\"a\":2,\"c\":1}\n", 1000).unwrap_err();
    assert_eq!(told, "m.toml:8:8: data has no column `b`; its columns are: a, c");
}

#[test]
fn tables_come_through_the_callers_reader() {
    let given = given("parquet", "");
    let file = given.file(b"");
    let open = |_: &Path| {
        let rows = vec![Ok(vec![Some("1".to_owned()), None]), Err("page 2 is damaged".to_owned())];
        Ok(TableRows { columns: vec!["a".to_owned(), "b".to_owned()], rows: Box::new(rows.into_iter()) })
    };
    let mut rows = open_rows(&file, &given.mapping, Some(&open), 1000).unwrap();
    let mut row = Row::default();
    assert_eq!(rows.next(&mut row).unwrap(), Step::Row);
    assert_eq!((row.line, row.cell(0), row.cell(1)), (1, "1", ""));
    assert_eq!(row.raw, b"{\"a\":\"1\",\"b\":null}");
    assert!(rows.next(&mut row).unwrap_err().to_string().contains("line 2: page 2 is damaged"));
}

#[test]
fn two_files_of_one_name_are_refused() {
    let told = InputFile::all(&["x/d.csv".into(), "y/d.csv".into()]).unwrap_err().to_string();
    assert!(told.contains("two files are called d.csv"), "{told}");
}
