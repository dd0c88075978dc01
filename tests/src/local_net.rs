//! A network namespace for one thread, made with system calls alone, so that it works where there is
//! no `ip`: every address of the tests is local there, and TCP sessions between two of them are
//! real sockets of the kernel.

use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    panic::resume_unwind,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::peers::{Ends, address};

/// The host under test, and whom it talks to.
const ADDRESSES: [[&str; 2]; 2] = [
    ["192.0.2.1", "192.0.2.77"],
    ["2001:db8:2::1", "2001:db8:2::77"],
];
const LOOPBACK_INDEX: libc::c_int = 1;

/// Stands for the namespace of the calling thread.
#[derive(Debug)]
pub struct LocalNet(());

/// A TCP session between the host under test and a peer, both of them here.
#[derive(Debug)]
pub struct Session {
    /// Addresses and ports.
    pub ends: Ends,
    /// The host's end.
    pub own: TcpStream,
    /// The peer's.
    pub peer: TcpStream,
}

/// Plays a scene in a namespace of its own. Whatever the kernel lacks for that fails the test.
///
/// # Panics
/// When the scene does, or the namespace cannot be made.
pub fn in_local_net(scene: impl FnOnce(&LocalNet) + Send) {
    thread::scope(|scope| {
        let played = scope.spawn(|| {
            let net = LocalNet::enter().expect("a network namespace with addresses on lo");
            scene(&net);
        });
        if let Err(panic) = played.join() {
            resume_unwind(panic);
        }
    });
}

impl LocalNet {
    /// Moves the calling thread, and no other, into a new namespace.
    fn enter() -> io::Result<Self> {
        // SAFETY: the call takes an integer and touches no memory.
        check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
        for [own, peer] in ADDRESSES {
            add(address(own))?;
            if address(peer).is_ipv6() {
                add(address(peer))?;
            }
        }
        for ip in ADDRESSES.into_iter().flatten().map(address) {
            wait_until_usable(ip)?;
        }
        Ok(Self(()))
    }

    /// Addresses of both families.
    #[must_use]
    pub fn families(&self) -> [(IpAddr, IpAddr); 2] {
        ADDRESSES.map(|[own, peer]| (address(own), address(peer)))
    }

    /// A listener of the host under test, on a free port.
    ///
    /// # Panics
    /// When the kernel refuses it.
    #[must_use]
    pub fn listen(&self, ip: IpAddr) -> TcpListener {
        TcpListener::bind((ip, 0)).expect("a listener")
    }

    /// A listener at an address of this net.
    ///
    /// # Panics
    /// When the kernel refuses it.
    #[must_use]
    pub fn listen_at(&self, at: SocketAddr) -> TcpListener {
        TcpListener::bind(at).expect("a listener")
    }

    /// Makes the kernel answer every SYN with a cookie, whatever room its queues have.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn always_cookies(&self) {
        std::fs::write("/proc/sys/net/ipv4/tcp_syncookies", "2").expect("tcp_syncookies = 2");
    }

    /// A session that the host under test began.
    ///
    /// # Panics
    /// When the kernel refuses it.
    #[must_use]
    pub fn begun_by_host(&self, own: IpAddr, peer: IpAddr) -> Session {
        let listener = self.listen(peer);
        let (ours, theirs) = connect(own, &listener).expect("a session");
        Session::new(ours, theirs)
    }

    /// A session that a peer began with a service of the host.
    ///
    /// # Panics
    /// When the kernel refuses it.
    #[must_use]
    pub fn begun_by_peer(&self, service: &TcpListener, peer: IpAddr) -> Session {
        let (theirs, ours) = connect(peer, service).expect("a session");
        Session::new(ours, theirs)
    }
}

impl Session {
    fn new(own: TcpStream, peer: TcpStream) -> Self {
        let address = |stream: &TcpStream| stream.local_addr().expect("an address");
        let (ours, theirs) = (address(&own), address(&peer));
        Self {
            ends: Ends {
                own: ours.ip(),
                peer: theirs.ip(),
                own_port: ours.port(),
                peer_port: theirs.port(),
            },
            own,
            peer,
        }
    }
}

/// Connects from this address to a listener: the connecting and the accepted end.
fn connect(from: IpAddr, listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let to = listener.local_addr()?;
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    let (accepted, _) = listener.accept()?;
    Ok((socket.into(), accepted))
}

fn sockaddr_in(ip: Ipv4Addr) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(ip.octets()),
        },
        sin_zero: [0; 8],
    }
}

/// Gives lo an address and puts it up. On lo a whole IPv4 network is local with one of its addresses.
fn add(ip: IpAddr) -> io::Result<()> {
    let socket = Socket::new(domain(ip), Type::DGRAM, None)?;
    match ip {
        IpAddr::V4(v4) => {
            // SAFETY: both are plain bytes of the same length.
            let raw: libc::sockaddr = unsafe { mem::transmute(sockaddr_in(v4)) };
            // Takes the network of its class, a /24.
            set(&socket, libc::SIOCSIFADDR, |request| {
                request.ifr_ifru.ifru_addr = raw;
            })?;
            set(&socket, libc::SIOCSIFFLAGS, |request| {
                request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
            })
        }
        IpAddr::V6(v6) => {
            let request = libc::in6_ifreq {
                ifr6_addr: libc::in6_addr {
                    s6_addr: v6.octets(),
                },
                ifr6_prefixlen: 128,
                ifr6_ifindex: LOOPBACK_INDEX,
            };
            // SAFETY: the call reads the struct that belongs to this request.
            check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) })
        }
    }
}

/// The kernel takes an IPv6 address into use in the background: a busy machine needs a moment for it.
fn wait_until_usable(ip: IpAddr) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UdpSocket::bind((ip, 0)) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable && Instant::now() < deadline =>
            {
                thread::sleep(PAUSE);
            }
            bound => return bound.map(drop),
        }
    }
}

fn domain(ip: IpAddr) -> Domain {
    if ip.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    }
}

/// One request about lo.
fn set(
    socket: &Socket,
    number: libc::Ioctl,
    fill: impl FnOnce(&mut libc::ifreq),
) -> io::Result<()> {
    // SAFETY: the struct is plain bytes, for which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *place = byte as libc::c_char;
    }
    fill(&mut request);
    // SAFETY: the call reads the struct that belongs to these requests.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), number, &raw const request) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
