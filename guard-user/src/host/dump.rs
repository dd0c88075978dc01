//! Asking the kernel for a whole table by netlink, without a runtime.

use std::{
    io,
    time::{Duration, Instant},
};

use netlink_packet_core::{
    ErrorBuffer, ErrorMessage, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN,
    NetlinkBuffer, Parseable as _,
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use socket2::SockRef;

/// The kernel's answers come in pieces of at most 32 KiB.
const BUFFER_BYTES: usize = 64 << 10;
/// For the whole table.
const PATIENCE: Duration = Duration::from_secs(10);
/// Length of netlink's own header.
const HEADER_BYTES: usize = 16;

/// Asks netlink's `protocol` for the table that `kind` and `body` name, and shows the payload of every message
/// of the answer.
///
/// # Errors
/// When netlink does not answer, or not within ten seconds, or refuses.
pub(super) fn dump(
    protocol: isize,
    kind: u16,
    body: &[u8],
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddress::new(0, 0))?;
    limit_waiting(&socket)?;
    socket.send(&request(kind, body), 0)?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        let length = socket.recv(&mut buffer, libc::MSG_TRUNC)?;
        if length > buffer.len() {
            return Err(io::Error::other("an answer is longer than any should be"));
        }
        if read(&buffer, &mut each)? == Progress::Complete {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Complete,
    More,
}

pub(super) fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(body);
    let length = u32::try_from(bytes.len()).expect("a request is short");
    let mut header = NetlinkBuffer::new(&mut bytes[..]);
    header.set_length(length);
    header.set_message_type(kind);
    header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    header.set_sequence_number(1);
    bytes
}

/// One datagram: any number of messages.
pub(super) fn read(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<Progress> {
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        let length = message.length() as usize;
        match message.message_type() {
            NLMSG_DONE => return Ok(Progress::Complete),
            NLMSG_ERROR => {
                let payload = message.payload();
                let error = ErrorBuffer::new_checked(&payload)
                    .and_then(|error| ErrorMessage::parse(&error))
                    .map_err(io::Error::other)?;
                if error.code.is_some() {
                    return Err(error.to_io());
                }
            }
            NLMSG_OVERRUN => return Err(io::Error::other("the kernel lost answers")),
            _ => each(message.payload()),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Progress::More)
}

/// A kernel that does not answer must not hang a command.
fn limit_waiting(socket: &Socket) -> io::Result<()> {
    SockRef::from(socket).set_read_timeout(Some(PATIENCE))
}
