//! What makes an import this import: its mapping, its site and the content of its files.

use std::fs::File;
use std::io::Read;

use millstream_schemas::Id;
use xxhash_rust::xxh3::Xxh3;

use crate::error::ImportError;
use crate::mapping::Mapping;
use crate::read::InputFile;

const BUFFER_BYTES: usize = 1 << 18;

/// The fingerprint of an import. Reads all files once.
pub(crate) fn fingerprint(mapping: &Mapping, site: &str, files: &[InputFile]) -> Result<Id, ImportError> {
    let mut parts: Vec<Vec<u8>> = vec![mapping.text.clone().into_bytes(), site.as_bytes().to_vec()];
    for file in files {
        parts.push(file.name.clone().into_bytes());
        parts.push(content_hash(file)?.to_be_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(Id::of(&parts))
}

fn content_hash(file: &InputFile) -> Result<u128, ImportError> {
    let cannot = |error: std::io::Error| file.error(0, format!("cannot be read: {error}"));
    let mut from = File::open(&file.path).map_err(cannot)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).map_err(cannot)?;
        if count == 0 {
            return Ok(hasher.digest128());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}
