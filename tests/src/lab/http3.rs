//! HTTP/3 by real programs: the server and the client of ngtcp2.

use std::{
    fs,
    net::{IpAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use super::{Background, Folder, Namespace, Topology, finish, until};

const PATIENCE: Duration = Duration::from_secs(10);
const PAGE: &str = "a page over HTTP/3\n";

/// A server of HTTP/3, and its clients.
#[derive(Debug)]
pub struct Http3 {
    _server: Background,
    folder: Folder,
    port: u16,
}

impl Http3 {
    /// Programs that it needs.
    pub const PROGRAMS: [&str; 3] = ["gtlsclient", "gtlsserver", "openssl"];

    /// Starts to serve a page at a port of both families.
    ///
    /// # Panics
    /// When a program fails.
    #[must_use]
    pub fn start(host: &Namespace, port: u16) -> Self {
        let folder = Folder::new();
        folder.write("page", PAGE);
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-subj", "/CN=server", "-keyout"])
            .arg(folder.join("key"))
            .arg("-out")
            .arg(folder.join("certificate"));
        drop(finish(&mut openssl, PATIENCE).ok());
        let mut command = host.command("gtlsserver");
        command
            .args(["-q", "--mime-types-file=/dev/null", "-d"])
            .arg(folder.path())
            .args(["*", &port.to_string()])
            .args([folder.join("key"), folder.join("certificate")]);
        let server = Background::start(&mut command, folder.join("log"));
        let is_taken = || UdpSocket::bind(("0.0.0.0", port)).is_err();
        until("a server of HTTP/3", || host.run(is_taken));
        Self {
            _server: server,
            folder,
            port,
        }
    }

    /// Asks for the page over a connection of its own. A client sends its first packet three times in 3 s.
    #[must_use]
    pub fn asks(&self, lab: &Topology, server: IpAddr) -> bool {
        let kept = Folder::new();
        let name = if server.is_ipv6() {
            format!("[{server}]")
        } else {
            server.to_string()
        };
        let mut client = lab.friend.command("gtlsclient");
        client
            .args(["-q", "--exit-on-all-streams-close", "--timeout=6s"])
            .arg(format!("--download={}", kept.path().display()))
            .args([&server.to_string(), &self.port.to_string()])
            .arg(format!("https://{name}/page"));
        let ran = finish(&mut client, Duration::from_secs(20));
        let page = fs::read_to_string(kept.join("page")).unwrap_or_default();
        if page != PAGE {
            println!("{ran}\n{}", self.folder.path().display());
        }
        page == PAGE
    }
}
