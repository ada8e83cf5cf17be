//! Opening a file: gzip by content, and how much of it has been read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::InputFile;
use crate::error::ImportError;

const BUFFER_BYTES: usize = 1 << 16;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file's plain bytes.
pub(crate) struct Opened {
    pub(crate) bytes: Box<dyn Read>,
    /// Bytes read so far, as they lie on disk.
    pub(crate) read: Rc<Cell<u64>>,
}

/// Opens a file, through gzip where its first bytes say so.
pub(crate) fn open(file: &InputFile) -> Result<Opened, ImportError> {
    let cannot = |error: io::Error| file.error(0, format!("cannot be read: {error}"));
    let read = Rc::new(Cell::new(0));
    let counting = Counting { inner: File::open(&file.path).map_err(cannot)?, read: Rc::clone(&read) };
    let mut buffered = BufReader::with_capacity(BUFFER_BYTES, counting);
    let gzip = buffered.fill_buf().map_err(cannot)?.starts_with(&GZIP_MAGIC);
    let bytes: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(buffered)) } else { Box::new(buffered) };
    Ok(Opened { bytes, read })
}

/// A file's size on disk.
pub(crate) fn size_bytes(file: &InputFile) -> Result<u64, ImportError> {
    let metadata = std::fs::metadata(&file.path).map_err(|error| file.error(0, format!("cannot be read: {error}")))?;
    Ok(metadata.len())
}

struct Counting<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}
