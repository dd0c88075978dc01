//! A download of known content, of which the client checks every byte.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// What a request begins with; the number of bytes follows. It is sent in one piece.
const REQUEST: &[u8; 8] = b"download";
/// Bytes of a word of the content.
const WORD: usize = size_of::<u64>();
/// Bytes that are made, sent and checked at a time.
const BLOCK: usize = 64 << 10;
/// Between two looks at whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How a download went.
#[derive(Clone, Debug, PartialEq)]
pub struct Downloaded {
    /// Bytes that came and were right.
    pub bytes: u64,
    /// From the request to the last of them.
    pub took: Duration,
    /// Why there are no more.
    pub end: DownloadEnd,
}

/// How a download ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadEnd {
    /// All bytes came.
    Complete,
    /// Its time was over.
    OutOfTime,
    /// The connection failed or ended early, or a byte was wrong.
    BrokenOff(String),
}

impl Downloaded {
    /// Megabytes per second, as far as it came.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }
}

/// Asks a server for so many bytes, and reads them for as long as `most`.
#[must_use]
pub fn download(stream: &mut TcpStream, bytes: u64, most: Duration) -> Downloaded {
    let begun = Instant::now();
    let mut reached = 0;
    let end = match read_all(stream, bytes, begun + most, &mut reached) {
        Ok(true) => DownloadEnd::Complete,
        Ok(false) => DownloadEnd::OutOfTime,
        Err(error) => DownloadEnd::BrokenOff(error.to_string()),
    };
    Downloaded {
        bytes: reached,
        took: begun.elapsed(),
        end,
    }
}

/// Does it come to its end before this time?
fn read_all(
    stream: &mut TcpStream,
    bytes: u64,
    until: Instant,
    reached: &mut u64,
) -> io::Result<bool> {
    stream.set_read_timeout(Some(LOOK))?;
    stream.write_all(&request(bytes))?;
    let (mut expected, mut came) = (vec![0; BLOCK], vec![0; BLOCK]);
    while *reached < bytes {
        let within = (*reached % BLOCK as u64) as usize;
        if within == 0 {
            fill(&mut expected, *reached);
        }
        let wanted = (bytes - *reached).min((BLOCK - within) as u64) as usize;
        if Instant::now() >= until {
            return Ok(false);
        }
        let length = match stream.read(&mut came[..wanted]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if is_timeout(&error) => continue,
            Err(error) => return Err(error),
        };
        if came[..length] != expected[within..within + length] {
            let text = format!("wrong content behind {reached} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        *reached += length as u64;
    }
    Ok(true)
}

fn request(bytes: u64) -> Vec<u8> {
    [REQUEST.as_slice(), &bytes.to_be_bytes()].concat()
}

/// How many bytes a client asks for, if this is a request.
pub(super) fn requested(question: &[u8]) -> Option<u64> {
    let bytes = question.strip_prefix(REQUEST)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// Sends so many bytes.
///
/// # Errors
/// When the client is gone.
pub(super) fn send(stream: &mut TcpStream, bytes: u64, stop: &AtomicBool) -> io::Result<()> {
    stream.set_write_timeout(Some(LOOK))?;
    let mut block = vec![0; BLOCK];
    let mut sent = 0;
    while sent < bytes && !stop.load(Ordering::Relaxed) {
        let within = (sent % BLOCK as u64) as usize;
        if within == 0 {
            fill(&mut block, sent);
        }
        let rest = (bytes - sent).min((BLOCK - within) as u64) as usize;
        match stream.write(&block[within..within + rest]) {
            Ok(length) => sent += length as u64,
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The content from an offset on: each word is of its place, so that nothing can be lost, doubled or exchanged unseen.
fn fill(block: &mut [u8], offset: u64) {
    /// Odd, so that no two words are the same: 2^64 divided by the golden ratio.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let first = offset / WORD as u64;
    for (number, word) in (first..).zip(block.chunks_exact_mut(WORD)) {
        word.copy_from_slice(&(number + 1).wrapping_mul(STEP).to_be_bytes());
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    const REQUEST_LENGTH: usize = REQUEST.len() + size_of::<u64>();
    const BYTES: u64 = 3 * BLOCK as u64 + 5;
    const PATIENCE: Duration = Duration::from_secs(20);

    /// What a client notices of a server that sends this.
    fn of(serve: impl FnOnce(&mut TcpStream, u64) + Send, most: Duration) -> Downloaded {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address");
        thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut question = [0; REQUEST_LENGTH];
                stream.read_exact(&mut question).expect("a request");
                let bytes = requested(&question).expect("a request");
                serve(&mut stream, bytes);
            });
            let mut stream = TcpStream::connect(to).expect("a server");
            download(&mut stream, BYTES, most)
        })
    }

    fn content() -> Vec<u8> {
        let mut content = vec![0; BYTES.next_multiple_of(WORD as u64) as usize];
        fill(&mut content, 0);
        content.truncate(BYTES as usize);
        content
    }

    #[test]
    fn all_bytes_come() {
        let go_on = AtomicBool::new(false);
        let serve = |stream: &mut TcpStream, bytes| send(stream, bytes, &go_on).expect("a client");
        let seen = of(serve, PATIENCE);
        assert_eq!((seen.bytes, seen.end), (BYTES, DownloadEnd::Complete));
    }

    #[test]
    fn a_byte_that_is_wrong_missing_or_doubled_breaks_it_off() {
        let changes: [fn(&mut Vec<u8>); 4] = [
            |content| content[70_000] ^= 1,
            |content| drop(content.drain(80_000..80_001)),
            |content| drop(content.drain(..8)),
            |content| content.truncate(100),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut sent = content();
            change(&mut sent);
            // Whoever has seen enough reads no more.
            let serve = |stream: &mut TcpStream, _| drop(stream.write_all(&sent));
            let seen = of(serve, PATIENCE);
            assert!(
                matches!(seen.end, DownloadEnd::BrokenOff(_)) && seen.bytes < BYTES,
                "{number}: {seen:?}"
            );
        }
    }

    #[test]
    fn what_takes_too_long_is_out_of_time() {
        let serve = |stream: &mut TcpStream, _| {
            stream.write_all(&content()[..1000]).expect("a client");
            // Until the client has gone.
            let _end = stream.read(&mut [0]);
        };
        let seen = of(serve, 5 * LOOK);
        assert_eq!((seen.bytes, seen.end), (1000, DownloadEnd::OutOfTime));
    }

    #[test]
    fn whatever_else_a_client_sends_is_no_request() {
        assert_eq!(requested(&request(7)), Some(7));
        for other in [&b"hello"[..], b"download", b"downloa\0\0\0\0\0\0\0\0\x07"] {
            assert_eq!(requested(other), None, "{other:?}");
        }
    }
}
