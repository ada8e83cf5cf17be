//! Request bodies: bounded before and after decompression.

use std::io::Read;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use millstream_schemas::input::Reason;

use crate::answer::Refused;

/// The body as text bytes, decompressed where the request says gzip.
pub(crate) fn decode(headers: &HeaderMap, body: Bytes, max_bytes: usize) -> Result<Bytes, Refused> {
    if body.len() > max_bytes {
        return Err(too_large(max_bytes));
    }
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    match encoding.to_str() {
        Ok("identity") => Ok(body),
        Ok("gzip") => {
            let mut plain = Vec::new();
            let limit = max_bytes as u64 + 1;
            MultiGzDecoder::new(body.as_ref())
                .take(limit)
                .read_to_end(&mut plain)
                .map_err(|error| Refused::new(Reason::UnsupportedEncoding, format!("the body is not gzip: {error}")))?;
            if plain.len() > max_bytes { Err(too_large(max_bytes)) } else { Ok(plain.into()) }
        }
        _ => Err(Refused::new(Reason::UnsupportedEncoding, "Content-Encoding must be gzip or absent")),
    }
}

/// The refusal of a body over the limit.
pub(crate) fn too_large(max_bytes: usize) -> Refused {
    Refused::new(
        Reason::BodyTooLarge,
        format!("a body may have {max_bytes} bytes, also after decompression; send smaller batches"),
    )
}
