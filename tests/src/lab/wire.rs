//! Frames by hand, onto an interface.

use std::{
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use super::Namespace;

/// Most frames in one system call.
const BATCH: usize = 256;

/// Sends frames out of an interface as they are, past its queueing discipline.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    ifindex: i32,
}

impl Wire {
    /// Opens an interface of a namespace.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        // Protocol 0: nothing that arrives is copied to this socket.
        let (socket, ifindex) = namespace
            .run(|| packet_socket(interface, 0))
            .unwrap_or_else(|error| panic!("{interface}: {error}"));
        const PACKET_QDISC_BYPASS: libc::c_int = 20;
        set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1);
        Self { socket, ifindex }
    }

    /// Sends the frames in order and returns how many the interface took; those that find a queue
    /// full are lost, as on a real wire.
    pub fn send(&self, frames: &[Vec<u8>]) -> usize {
        frames
            .chunks(BATCH)
            .map(|batch| self.send_batch(batch))
            .sum()
    }

    fn send_batch(&self, frames: &[Vec<u8>]) -> usize {
        let mut address = link_address(self.ifindex, 0);
        let mut vectors: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec {
                // The kernel only reads it.
                iov_base: frame.as_ptr().cast_mut().cast(),
                iov_len: frame.len(),
            })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: all-zero is a valid mmsghdr.
                let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
                message.msg_hdr.msg_name = ptr::from_mut(&mut address).cast();
                message.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_ll>() as u32;
                message.msg_hdr.msg_iov = vector;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        let (mut done, mut sent) = (0, 0);
        while done < messages.len() {
            let rest = &mut messages[done..];
            // SAFETY: `rest` is a live slice whose pointers lead to live values of this function.
            let result = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    0,
                )
            };
            match usize::try_from(result) {
                Ok(count) if count > 0 => {
                    done += count;
                    sent += count;
                }
                // The first of the rest was refused, a queue being full: lost.
                _ => done += 1,
            }
        }
        sent
    }
}

/// A packet socket bound to an interface of this thread's namespace, and the interface's index.
pub(super) fn packet_socket(interface: &str, protocol: u16) -> io::Result<(OwnedFd, i32)> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes integers and touches no memory.
    let descriptor = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just above, and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let name = std::ffi::CString::new(interface).map_err(io::Error::other)?;
    // SAFETY: a terminated string.
    let ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if ifindex == 0 {
        return Err(io::Error::last_os_error());
    }
    let ifindex = ifindex.cast_signed();
    let address = link_address(ifindex, protocol);
    // SAFETY: a live address of the length that is passed.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            mem::size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    if bound == 0 {
        Ok((socket, ifindex))
    } else {
        Err(io::Error::last_os_error())
    }
}

pub(super) fn set_option(socket: &OwnedFd, level: i32, option: i32, value: i32) {
    // SAFETY: a live integer of the length that is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            mem::size_of::<i32>() as u32,
        )
    };
    let error = io::Error::last_os_error();
    assert_eq!(result, 0, "socket option {option}: {error}");
}

fn link_address(ifindex: i32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = ifindex;
    address
}
