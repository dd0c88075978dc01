//! Echo requests, by the kernel's ping sockets.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::FromRawFd as _,
    time::Duration,
};

use super::Namespace;

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);

impl Namespace {
    /// Does one echo request get an answer within a second?
    ///
    /// # Panics
    /// When the kernel has no ping sockets.
    #[must_use]
    pub fn can_ping(&self, address: IpAddr) -> bool {
        // By default nobody may have one, not even root.
        self.sysctl("net/ipv4/ping_group_range", "0 2147483647");
        self.run(|| {
            let socket = socket(address).expect("a ping socket");
            let kind = match address {
                IpAddr::V4(_) => ECHO_REQUEST_V4,
                IpAddr::V6(_) => ECHO_REQUEST_V6,
            };
            // Checksum and identifier are the kernel's; the rest is sequence number and data.
            let request = [kind, 0, 0, 0, 0, 0, 0, 1, b'g', b'u', b'a', b'r', b'd'];
            let mut answer = [0; 64];
            socket.set_read_timeout(Some(PATIENCE)).is_ok()
                && socket
                    .send_to(&request, SocketAddr::new(address, 0))
                    .is_ok()
                && socket
                    .recv_from(&mut answer)
                    .is_ok_and(|(length, _)| answer[8..length] == request[8..])
        })
    }
}

fn socket(address: IpAddr) -> io::Result<UdpSocket> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    // SAFETY: the call takes integers and touches no memory.
    let descriptor =
        unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, protocol) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just above, and owned by nobody else. It sends and receives as UDP sockets do.
    Ok(unsafe { UdpSocket::from_raw_fd(descriptor) })
}
