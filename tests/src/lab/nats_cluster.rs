//! Three servers of NATS for a fleet, as `guard-fleet setup --servers 3` and `prepare` make them, on loopback, by TLS.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use guard_user::fleet::settings::NatsSettings;

use super::{
    Background, Certificates, FleetServers, Folder, Ran, Relay, finish, guard_fleet, nats_program,
    until, within,
};
use crate::require;

const SERVERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// Distance of a server's port for servers from the one for hosts.
const FOR_SERVERS: u16 = 2000;

/// The servers, with the keys of their fleet.
#[derive(Debug)]
pub struct NatsCluster {
    program: PathBuf,
    servers: [Option<Background>; SERVERS],
    /// Of the first server; the others follow.
    port: u16,
    certificates: Certificates,
    folder: Folder,
}

impl NatsCluster {
    /// With a fleet of these hosts, `GROUP/NAME`; `None` where there is no server, which is said.
    ///
    /// # Panics
    /// When they do not find each other, and with `GUARD_TESTS_STRICT=1` when the program is not there.
    #[must_use]
    pub fn start(hosts: &[String]) -> Option<Self> {
        let program = nats_program()?;
        if !require::program("openssl") {
            return None;
        }
        let folder = Folder::new();
        let port = free_ports();
        let mut setup = guard_fleet();
        setup.args(["setup", "--servers", "3", "--port", &port.to_string()]);
        setup.args(["--at", "127.0.0.1"].repeat(SERVERS));
        setup.arg("--to").arg(folder.join("keys"));
        for host in hosts {
            setup.args(["--host", host]);
        }
        drop(finish(&mut setup, PATIENCE).ok());
        let mut cluster = Self {
            program,
            servers: [const { None }; SERVERS],
            port,
            certificates: Certificates::make(),
            folder,
        };
        for number in 0..SERVERS {
            cluster.move_to_loopback(number);
            cluster.run(number);
        }
        // Servers choose who leads before anything can be stored.
        let prepared = within(PATIENCE, || {
            let ran = cluster.prepare();
            (ran.code == Some(0)).then_some(())
        });
        assert!(prepared.is_some(), "{}", cluster.prepare());
        Some(cluster)
    }

    fn configuration(&self, number: usize) -> PathBuf {
        self.folder.join(&format!("keys/nats-{}.conf", number + 1))
    }

    /// An operator has folders of his own, and other machines.
    fn move_to_loopback(&self, number: usize) {
        let path = self.configuration(number);
        let text = fs::read_to_string(&path).expect("a configuration");
        let folder = |path: PathBuf| path.display().to_string();
        let text = text
            .replace("/var/lib/nats", &folder(self.folder.join("data")))
            .replace("/etc/nats", &folder(self.certificates.path("")))
            .replace("0.0.0.0", "127.0.0.1");
        fs::write(&path, text).expect("written");
    }

    fn ports(&self) -> [u16; SERVERS] {
        [self.port, self.port + 1, self.port + 2]
    }

    /// Starts a server, with what it had stored.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn run(&mut self, number: usize) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.configuration(number));
        let log = self.folder.join(&format!("log-{number}"));
        let mut server = Background::start(&mut command, log);
        let port = self.ports()[number];
        until("nats-server to listen", || {
            server.assert_alive();
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        self.servers[number] = Some(server);
    }

    /// Ends a server with all that it was about to write.
    pub fn kill(&mut self, number: usize) {
        self.servers[number] = None;
    }

    /// The processes of those that run.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.servers.iter().flatten().map(Background::id).collect()
    }

    /// Number of the server that leads the stream of bans, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let running = self.urls().into_iter().zip(&self.servers);
        let running: Vec<String> = running
            .filter(|(_, server)| server.is_some())
            .map(|(url, _)| url)
            .collect();
        let (key, ca) = (self.key("admin"), self.ca());
        let name = guard_user::fleet::agent::simulation::leader(&running, &key, ca.as_deref());
        let number: usize = name.ok()??.strip_prefix("guard-")?.parse().ok()?;
        number.checked_sub(1)
    }

    fn prepare(&self) -> Ran {
        let mut command = guard_fleet();
        command.args(["prepare", "--replicas", "3"]);
        for url in self.urls() {
            command.args(["--server", &url]);
        }
        command.arg("--ca").args(self.ca());
        finish(command.arg("--key").arg(self.key("admin")), PATIENCE)
    }

    /// What a host has in its fleet.toml.
    #[must_use]
    pub fn settings(&self, group: &str, host: &str) -> NatsSettings {
        let mut servers = self.urls();
        // Hosts share the servers among them.
        let first = host.bytes().map(usize::from).sum::<usize>() % SERVERS;
        servers.rotate_left(first);
        NatsSettings {
            servers,
            host: host.to_owned(),
            group: group.to_owned(),
            key: self.key(&format!("{group}-{host}")),
            ca: self.ca(),
            policy_key: None,
            trust: Default::default(),
        }
    }

    /// The same servers, behind cables that can be cut.
    #[must_use]
    pub fn behind_relays(&self) -> Vec<Relay> {
        let to = |port| Relay::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        self.ports().into_iter().map(to).collect()
    }
}

impl FleetServers for NatsCluster {
    fn urls(&self) -> Vec<String> {
        self.ports().map(url).to_vec()
    }

    fn ca(&self) -> Option<PathBuf> {
        Some(self.certificates.path("ca.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.folder.join(&format!("keys/{name}.nk"))
    }
}

/// A cluster as a host sees it whose cable can be cut.
impl FleetServers for (&NatsCluster, &[Relay]) {
    fn urls(&self) -> Vec<String> {
        self.1.iter().map(|relay| url(relay.port())).collect()
    }

    fn ca(&self) -> Option<PathBuf> {
        self.0.ca()
    }

    fn key(&self, name: &str) -> PathBuf {
        self.0.key(name)
    }
}

fn url(port: u16) -> String {
    format!("tls://127.0.0.1:{port}")
}

/// The first of three ports in a row that are free, and so are those for servers.
fn free_ports() -> u16 {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let others = (1..3).chain(FOR_SERVERS..FOR_SERVERS + 3);
        let others = others.map(|distance| {
            let port = port.checked_add(distance)?;
            TcpListener::bind(("127.0.0.1", port)).ok()
        });
        if others.collect::<Option<Vec<_>>>().is_some() {
            return port;
        }
    }
    panic!("no six free ports in a row");
}
