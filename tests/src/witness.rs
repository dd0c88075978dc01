//! Sees what the network stack of a host sees: a packet socket stands behind XDP, so a frame that
//! was dropped never gets here.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

use crate::netns::Namespace;

/// A packet socket on one interface.
#[derive(Debug)]
pub struct Witness(OwnedFd);

impl Witness {
    /// Watches an interface from here on.
    ///
    /// # Errors
    /// When the socket cannot be opened or bound.
    pub fn new(host: &Namespace, interface: &str) -> Result<Self> {
        host.within(|| open(interface))?
            .with_context(|| format!("watch {interface}"))
    }

    /// Every frame that came in since the last time and was not sent by the host itself.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn received(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0u8; 65_536];
        loop {
            // SAFETY: all zero bytes are a valid address of any family.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_len = size_of_val(&from) as libc::socklen_t;
            // SAFETY: the kernel writes at most the given lengths to the buffer and the address.
            let len = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_DONTWAIT,
                    (&raw mut from).cast(),
                    &raw mut from_len,
                )
            };
            if len < 0 {
                let error = io::Error::last_os_error();
                return if error.kind() == io::ErrorKind::WouldBlock {
                    Ok(frames)
                } else {
                    Err(error)
                };
            }
            if from.sll_pkttype != libc::PACKET_OUTGOING {
                frames.push(buffer[..len as usize].to_vec());
            }
        }
    }
}

fn open(interface: &str) -> io::Result<Witness> {
    let every_protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: the call takes integers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(every_protocol)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just opened and that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: a string that ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: all zero bytes are a valid address of any family.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = every_protocol;
    address.sll_ifindex = index as i32;
    let buffer: libc::c_int = 32 << 20;
    // SAFETY: the address of an integer and its size.
    let enlarged = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const buffer).cast(),
            size_of_val(&buffer) as libc::socklen_t,
        )
    };
    // SAFETY: the address of a struct and its size.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    if enlarged != 0 || bound != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Witness(socket))
}
