//! dnsmasq: names and leases, as a provider's router gives them.

use std::{net::UdpSocket, time::Duration};

use super::{Background, Folder, Namespace, until, within};

/// dnsmasq inside a host, configured only by its arguments.
#[derive(Debug)]
pub struct Dnsmasq {
    server: Background,
    // Gone after the server that writes into it.
    _folder: Folder,
}

impl Dnsmasq {
    /// A name that has both addresses: 192.0.2.80 and 2001:db8:2::80.
    pub const NAME: &str = "www.lab.test";
    /// A name whose text takes four kilobytes.
    pub const LARGE: &str = "large.lab.test";
    /// Size of that text, in bytes.
    pub const LARGE_BYTES: usize = STRINGS * STRING;

    /// Answers questions for names on port 53, both families, over UDP and TCP.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn names(host: &Namespace) -> Self {
        let text = vec!["x".repeat(STRING); STRINGS].join(",");
        let server = Self::start(
            host,
            &[
                "--port=53",
                "--edns-packet-max=4096",
                &format!("--address=/{}/192.0.2.80", Self::NAME),
                &format!("--address=/{}/2001:db8:2::80", Self::NAME),
                &format!("--txt-record={},{text}", Self::LARGE),
            ],
        );
        // Its socket is there once the port is taken.
        let is_taken = || UdpSocket::bind(("127.0.0.1", 53)).is_err();
        until("dnsmasq to answer", || host.run(is_taken));
        server
    }

    /// Answers questions for one name.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn host(host: &Namespace, name: &str, addresses: &[&str]) -> Self {
        let record = format!("--host-record={name},{}", addresses.join(","));
        let server = Self::start(host, &["--port=53", &record]);
        let is_taken = || UdpSocket::bind(("127.0.0.1", 53)).is_err();
        until("dnsmasq to answer", || host.run(is_taken));
        server
    }

    /// Gives leases on an interface; `options` say of what. It logs every exchange.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn leases(host: &Namespace, interface: &str, options: &[&str]) -> Self {
        let interface = format!("--interface={interface}");
        let common = ["--port=0", "--log-dhcp", "--dhcp-authoritative", &interface];
        let mut server = Self::start(host, &[&common, options].concat());
        until("dnsmasq to lend addresses", || {
            server.server.assert_alive();
            server.server.said().contains("IP range ")
        });
        server
    }

    /// Waits until it has logged a line with this in it so often.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect(&self, text: &str, times: usize) {
        let lines = || {
            self.server
                .said()
                .lines()
                .filter(|line| line.contains(text))
                .count()
        };
        let said = within(Duration::from_secs(20), || (lines() >= times).then_some(()));
        assert!(
            said.is_some(),
            "{times} times {text:?} in\n{}",
            self.server.said()
        );
    }

    fn start(host: &Namespace, options: &[&str]) -> Self {
        let folder = Folder::new();
        let mut command = host.command("dnsmasq");
        command
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args(["--user=root", "--pid-file="])
            .arg(format!(
                "--dhcp-leasefile={}",
                folder.join("leases").display()
            ))
            .args(options);
        Self {
            server: Background::start(&mut command, folder.join("log")),
            _folder: folder,
        }
    }
}

/// A text record is made of strings of at most 255 bytes.
const STRING: usize = 250;
/// With its headers, the answer fits the 4096 bytes that a resolver offers.
const STRINGS: usize = 15;
