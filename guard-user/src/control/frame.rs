//! A frame: four bytes of length in network order, then JSON.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::MOST_BYTES;

/// A value as a frame.
///
/// # Errors
/// When it is longer than a frame may be.
pub(super) fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, value)?;
    let length = bytes.len() - 4;
    bytes[..4].copy_from_slice(&(checked(length)? as u32).to_be_bytes());
    Ok(bytes)
}

/// The value of the next frame; nothing of a frame that is too long is read or stored.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let length = checked(stream.read_u32().await? as usize)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    parse(&bytes)
}

/// The same for the end that may wait.
pub(super) fn read_blocking<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; checked(u32::from_be_bytes(length) as usize)?];
    stream.read_exact(&mut bytes)?;
    parse(&bytes)
}

pub(super) fn write_blocking(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(value)?)
}

/// JSON that ends too early is no end of the connection.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

fn checked(length: usize) -> io::Result<usize> {
    if length <= MOST_BYTES {
        return Ok(length);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {length} bytes; at most {MOST_BYTES} are allowed"),
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::Request, *};

    #[test]
    fn what_is_written_is_read() {
        for request in [
            Request::Ping,
            Request::Status,
            Request::Reconcile,
            Request::Stop,
        ] {
            let frame = encode(&request).unwrap();
            let read: Request = read_blocking(&mut frame.as_slice()).unwrap();
            assert_eq!(read, request);
        }
    }

    #[test]
    fn bad_frames_are_refused() {
        let cases: [(&str, Vec<u8>); 6] = [
            ("too long", u32::MAX.to_be_bytes().to_vec()),
            (
                "one too long",
                (MOST_BYTES as u32 + 1).to_be_bytes().to_vec(),
            ),
            ("cut off", vec![0, 0, 0, 9, b'{']),
            ("no length", vec![0, 0]),
            ("no JSON", vec![0, 0, 0, 1, b'{']),
            ("no verb of ours", {
                let text = br#"{"verb":"obey"}"#;
                [&[0, 0, 0, text.len() as u8], &text[..]].concat()
            }),
        ];
        for (case, bytes) in cases {
            let read: io::Result<Request> = read_blocking(&mut bytes.as_slice());
            assert!(read.is_err(), "{case}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_sent() {
        assert!(encode(&"x".repeat(MOST_BYTES)).is_err());
        assert!(encode(&"x".repeat(MOST_BYTES - 2)).is_ok());
    }
}
