//! A frame: four bytes of length in network order, then JSON. Both ends take frames apart by one codec, which
//! never holds more than one frame may have.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncRead;
use tokio_util::codec::{
    Decoder as _, Encoder as _, FramedRead, LengthDelimitedCodec, LengthDelimitedCodecError,
};

use super::MOST_BYTES;

/// What the end that may wait reads at a time.
const CHUNK: usize = 4096;

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .length_field_type::<u32>()
        .big_endian()
        .max_frame_length(MOST_BYTES)
        .new_codec()
}

/// A value as a frame.
///
/// # Errors
/// When it is longer than a frame may be.
pub(super) fn encode(value: &impl Serialize) -> io::Result<Bytes> {
    let text = serde_json::to_vec(value)?;
    let length = text.len();
    let mut frame = BytesMut::new();
    codec()
        .encode(Bytes::from(text), &mut frame)
        .map_err(|error| {
            explained(
                error,
                &format!("a frame of {length} bytes; at most {MOST_BYTES} are allowed"),
            )
        })?;
    Ok(frame.freeze())
}

/// The value of the next frame; nothing of a frame that is too long is read or stored. What follows it is lost: a
/// connection has one request and one answer.
pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut frames = FramedRead::new(stream, codec());
    match frames.next().await {
        Some(Ok(frame)) => parse(&frame),
        Some(Err(error)) => Err(explained(error, &too_long())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The same for the end that may wait.
pub(super) fn read_blocking<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut codec = codec();
    let mut received = BytesMut::new();
    let mut chunk = [0; CHUNK];
    loop {
        let frame = codec.decode(&mut received);
        if let Some(frame) = frame.map_err(|error| explained(error, &too_long()))? {
            return parse(&frame);
        }
        let read = match stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&chunk[..read]);
    }
}

pub(super) fn write_blocking(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(value)?)
}

/// JSON that ends too early is no end of the connection.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// The codec has only seen the length, and does not tell it.
fn too_long() -> String {
    format!("a frame that is too long; at most {MOST_BYTES} bytes are allowed")
}

/// The codec's complaint about a length, in our words.
fn explained(error: io::Error, message: &str) -> io::Error {
    let is_too_long = error
        .get_ref()
        .is_some_and(|inner| inner.is::<LengthDelimitedCodecError>());
    if is_too_long {
        io::Error::new(io::ErrorKind::InvalidData, message)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

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
            let read: Request = read_blocking(&mut &frame[..]).unwrap();
            assert_eq!(read, request);
        }
    }

    #[test]
    fn the_form_on_the_wire_is_that_of_older_versions() {
        let frame = encode(&Request::Ping).unwrap();
        assert_eq!(&frame[..], b"\0\0\0\x0f{\"verb\":\"ping\"}");
    }

    #[test]
    fn a_frame_may_come_byte_by_byte_and_be_as_long_as_is_allowed() {
        /// One byte at a time.
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut into[..1])
            }
        }
        let text = "x".repeat(MOST_BYTES - 2);
        let frame = encode(&text).unwrap();
        let read: String = read_blocking(&mut Slowly(&frame)).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn bad_frames_are_refused_at_both_ends() {
        let cases: [(&str, Vec<u8>); 7] = [
            ("nothing", Vec::new()),
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
            let waited: io::Result<Request> = read_blocking(&mut bytes.as_slice());
            assert!(waited.is_err(), "{case}");
            let polled = read::<Request>(&mut bytes.as_slice()).now_or_never();
            let polled = polled.expect("nothing to wait for").expect_err(case);
            if case.ends_with("too long") {
                assert!(polled.to_string().contains("65536"), "{case}: {polled}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_sent() {
        let error = encode(&"x".repeat(MOST_BYTES)).unwrap_err();
        assert!(error.to_string().contains("65538"), "{error}");
        assert!(encode(&"x".repeat(MOST_BYTES - 2)).is_ok());
    }
}
