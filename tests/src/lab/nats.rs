//! A server of NATS for a fleet, as `guard-fleet setup` and `prepare` make it, on loopback.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::{Background, Folder, Instance, NatsClient, Ran, finish, guardctl_path, until};

/// For a command that asks the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// For a policy that is released in waves.
const RELEASE: Duration = Duration::from_secs(90);
/// What `cargo xtask setup --tests` gets.
const PROGRAM: &str = "nats-server-2.15.1";

/// The server, with the keys of its fleet.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    server: Option<Background>,
    /// What its hosts connect to.
    pub url: String,
    port: u16,
    folder: Folder,
}

/// guard-fleet stands beside guardctl.
#[must_use]
pub fn guard_fleet() -> Command {
    Command::new(guardctl_path().with_file_name("guard-fleet"))
}

/// Where nats-server is; `None` where it is not, which is said.
pub(super) fn nats_program() -> Option<PathBuf> {
    let tools = std::env::var_os("GUARD_TOOLS_DIR").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../target/guard-tools"
            ))
        },
        PathBuf::from,
    );
    let program = tools.join("bin").join(PROGRAM);
    let is_there = crate::require::need(program.is_file(), || {
        format!("needs {}: cargo xtask setup --tests", program.display())
    });
    is_there.then_some(program)
}

/// Servers that a host can join.
pub trait FleetServers {
    /// What its hosts connect to.
    fn urls(&self) -> Vec<String>;
    /// The authority that vouches for them, if they have TLS.
    fn ca(&self) -> Option<PathBuf>;
    /// The key of a host (`GROUP-NAME`), of the operator or of the admin.
    fn key(&self, name: &str) -> PathBuf;
}

impl FleetServers for NatsServer {
    fn urls(&self) -> Vec<String> {
        vec![self.url.clone()]
    }

    fn ca(&self) -> Option<PathBuf> {
        None
    }

    fn key(&self, name: &str) -> PathBuf {
        self.folder.join(&format!("keys/{name}.nk"))
    }
}

impl NatsServer {
    /// With a fleet of these hosts, `GROUP/NAME`; `None` where there is no server, which is said.
    ///
    /// # Panics
    /// When it does not start, and with `GUARD_TESTS_STRICT=1` when it is not there.
    #[must_use]
    pub fn start(hosts: &[&str]) -> Option<Self> {
        let program = nats_program()?;
        let folder = Folder::new();
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut setup = guard_fleet();
        setup.args(["setup", "--port", &port.to_string(), "--to"]);
        setup.arg(folder.join("keys"));
        for host in hosts {
            setup.args(["--host", host]);
        }
        drop(finish(&mut setup, PATIENCE).ok());
        let configuration = folder.join("keys/nats-1.conf");
        let text = fs::read_to_string(&configuration).expect("a configuration");
        let data = folder.join("data");
        let text = text.replace("/var/lib/nats", &data.display().to_string());
        fs::write(&configuration, text).expect("written");
        let mut server = Self {
            program,
            server: None,
            url: format!("nats://127.0.0.1:{port}"),
            port,
            folder,
        };
        server.run();
        drop(server.prepare("admin").ok());
        Some(server)
    }

    /// Starts it, with what it had stored.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.join("keys/nats-1.conf"));
        self.server = Some(Background::start(&mut command, self.folder.join("log")));
        until("nats-server to listen", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Ends it with all that it was about to write.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Forgets everything that was stored; it must not run.
    ///
    /// # Panics
    /// When the disk says so.
    pub fn wipe(&self) {
        fs::remove_dir_all(self.folder.join("data")).expect("removed");
    }

    /// `guard-fleet prepare` with somebody's key.
    pub fn prepare(&self, name: &str) -> Ran {
        self.as_somebody(name, &["prepare"])
    }

    /// `guard-fleet lift` with somebody's key.
    pub fn lift(&self, name: &str, network: &str) -> Ran {
        self.as_somebody(name, &["lift", network])
    }

    /// What `guard-fleet hosts` shows the publisher.
    pub fn hosts(&self) -> Ran {
        self.as_somebody("publisher", &["hosts", "--json"])
    }

    /// `guardctl fleet publish` of a host: this policy to a group, by the keys of the fleet.
    pub fn publish(&self, from: &Instance, policy: &str, group: &str, options: &[&str]) -> Ran {
        let mut command = Command::new(guardctl_path());
        command.envs(from.environment()).arg("fleet");
        self.finish_publish(command, policy, group, options)
    }

    /// The same from where no guard is.
    pub fn publish_from_elsewhere(&self, policy: &str, group: &str, options: &[&str]) -> Ran {
        self.finish_publish(guard_fleet(), policy, group, options)
    }

    fn finish_publish(
        &self,
        mut command: Command,
        policy: &str,
        group: &str,
        options: &[&str],
    ) -> Ran {
        let file = self.folder.join("policy.toml");
        fs::write(&file, policy).expect("written");
        command.arg("publish").arg(file);
        command.args(["--server", &self.url, "--group", group]);
        command.arg("--key").arg(self.key("publisher"));
        command.arg("--sign").arg(self.key("policy")).args(options);
        finish(&mut command, RELEASE)
    }

    /// The public key of who signs policies.
    pub fn signer(&self) -> String {
        let text = fs::read_to_string(self.folder.join("keys/policy.pub")).expect("a key");
        text.trim().to_owned()
    }

    /// A connection with the key of a host (`GROUP-NAME`), of the operator or of the admin.
    #[must_use]
    pub fn client(&self, name: &str) -> NatsClient {
        let inbox = format!("_INBOX_{}", name.replace('-', "_"));
        NatsClient::connect(self.port, &self.key(name), &inbox)
    }

    /// What the server says of the stream of bans.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn stream(&self) -> Value {
        let answer = self
            .client("admin")
            .ask("$JS.API.STREAM.INFO.KV_guard", b"", b"");
        answer.expect("an answer").json()
    }

    fn as_somebody(&self, name: &str, words: &[&str]) -> Ran {
        let mut command = guard_fleet();
        command.args(words).args(["--server", &self.url, "--key"]);
        finish(command.arg(self.key(name)), PATIENCE)
    }
}
