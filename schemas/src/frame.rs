//! The Confluent wire format: a zero byte, the schema's id (u32, big-endian), the Avro body.

/// Bytes before the body.
pub const FRAME_BYTES: usize = 5;

/// A frame that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer than five bytes.
    #[error("a frame has five bytes before its body, this one has {0} in all")]
    Short(usize),
    /// The first byte is not zero.
    #[error("a frame begins with the byte 0, this one with {0}")]
    BadMagic(u8),
}

/// Splits a frame into its schema id and its body.
#[inline]
pub fn split(frame: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    let Some((head, body)) = frame.split_first_chunk::<FRAME_BYTES>() else {
        return Err(FrameError::Short(frame.len()));
    };
    match head {
        [0, id @ ..] => Ok((u32::from_be_bytes(*id), body)),
        [magic, ..] => Err(FrameError::BadMagic(*magic)),
    }
}

/// Appends a frame's first five bytes; the body follows.
#[inline]
pub fn begin(schema_id: u32, out: &mut Vec<u8>) {
    let [a, b, c, d] = schema_id.to_be_bytes();
    out.extend_from_slice(&[0, a, b, c, d]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_what_it_began() {
        let mut out = Vec::new();
        begin(0x0102_0304, &mut out);
        out.extend_from_slice(b"body");
        assert_eq!(split(&out), Ok((0x0102_0304, b"body".as_slice())));
    }

    #[test]
    fn refuses_what_is_no_frame() {
        assert_eq!(split(b""), Err(FrameError::Short(0)));
        assert_eq!(split(&[0, 0, 0, 1]), Err(FrameError::Short(4)));
        assert_eq!(split(b"{\"id\":1}"), Err(FrameError::BadMagic(b'{')));
        assert_eq!(split(&[0, 0, 0, 0, 7]), Ok((7, b"".as_slice())));
    }
}
