//! Real servers: sshd and nginx from the distribution's packages, with configurations of their own.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, TcpStream},
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use super::{Background, Folder, LogDaemon, Namespace, finish, own_mounts, until};
use crate::require;

/// Hides from the rest of the machine what servers write outside of their folder: /run, /var/log.
/// A locked root account may log in behind it.
const PRIVATELY: &str = r#"set -e
mount -t tmpfs tmpfs /run && mkdir -p /run/sshd
mount -t tmpfs tmpfs /var/log && mkdir -p /var/log/nginx
umask 077
sed 's/^root:[^:]*:/root:*:/' /etc/shadow >"$1" && mount --bind "$1" /etc/shadow
shift
exec "$@"
"#;

/// Puts a socket where `syslog(3)` looks for it, in a /dev of its own: $1 is a folder, $2 the socket.
const WITH_SYSLOG: &str = r#"set -e
mount -t tmpfs tmpfs "$1"
for node in null zero full random urandom tty; do
    touch "$1/$node" && mount --bind "/dev/$node" "$1/$node"
done
mkdir "$1/pts" && mount --rbind /dev/pts "$1/pts"
ln -s pts/ptmx "$1/ptmx" && ln -s /proc/self/fd "$1/fd"
touch "$1/log" && mount --bind "$2" "$1/log"
mount --rbind "$1" /dev
shift 2
exec "$@"
"#;

/// A program inside with a view of its own of /run, /var/log and the root account.
fn privately(namespace: &Namespace, folder: &Folder, program: &str) -> Command {
    let path = require::find(program).unwrap_or_else(|| panic!("{program} is not installed"));
    let [launcher, words @ ..] = own_mounts(PRIVATELY);
    let mut command = namespace.command(launcher);
    command.args(words).arg(folder.join("shadow")).arg(path);
    command
}

/// The command, with this one where it writes its log.
fn heard_by(
    daemon: &dyn LogDaemon,
    namespace: &Namespace,
    folder: &Folder,
    command: &Command,
) -> Command {
    let dev = folder.join("dev");
    std::fs::create_dir(&dev).expect("a folder");
    let [launcher, words @ ..] = own_mounts(WITH_SYSLOG);
    let mut with = namespace.command(launcher);
    with.args(words)
        .arg(dev)
        .arg(daemon.socket())
        .arg(command.get_program())
        .args(command.get_args());
    with
}

/// Where it listens unless told otherwise.
const SSH: u16 = 22;

/// OpenSSH's server on port 22, which lets root in by a key that [`Sshd::client`] has.
#[derive(Debug)]
pub struct Sshd {
    server: Background,
    folder: Folder,
    port: u16,
}

impl Sshd {
    /// Starts it; when this returns, it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        Self::with(namespace, None, SSH)
    }

    /// The same on another port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn on_port(namespace: &Namespace, port: u16) -> Self {
        Self::with(namespace, None, port)
    }

    /// The same with a log that somebody else writes, and with a question for a password that is never right.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn logging(namespace: &Namespace, syslog: &dyn LogDaemon) -> Self {
        Self::with(namespace, Some(syslog), SSH)
    }

    fn with(namespace: &Namespace, syslog: Option<&dyn LogDaemon>, port: u16) -> Self {
        let folder = Folder::new();
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(key));
            drop(finish(&mut keygen, Duration::from_secs(10)).ok());
        }
        let at = folder.path().display();
        let configuration = folder.write(
            "sshd_config",
            &format!(
                "Port {port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\nPidFile none\n\
                 PermitRootLogin yes\nPasswordAuthentication {}\nKbdInteractiveAuthentication no\n\
                 StrictModes no\nUsePAM no\nUseDNS no\nPermitUserRC no\nPrintLastLog no\n\
                 MaxStartups 200\n",
                if syslog.is_some() { "yes" } else { "no" }
            ),
        );
        let mut command = privately(namespace, &folder, "sshd");
        command.arg("-D");
        if syslog.is_none() {
            command.arg("-e");
        }
        command.arg("-f").arg(configuration);
        if let Some(syslog) = syslog {
            command = heard_by(syslog, namespace, &folder, &command);
        }
        let mut server = Background::start(&mut command, folder.join("sshd.log"));
        until("sshd to listen", || {
            server.assert_alive();
            let said = syslog.map_or_else(|| server.said(), LogDaemon::said);
            said.contains("Server listening on 0.0.0.0")
        });
        Self {
            server,
            folder,
            port,
        }
    }

    /// Tries to log in with a password, which is wrong.
    ///
    /// # Panics
    /// When that is possible.
    pub fn fails(&self, from: &Namespace, to: IpAddr, user: &str) {
        let password = self.folder.write("password", "#!/bin/sh\necho wrong\n");
        let executable = PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&password, executable).expect("a script");
        // A ban cuts what goes on: then there is no answer any more.
        let mut ssh = from.command("timeout");
        ssh.args(["8", "ssh", "-F", "none", "-T", "-l", user]);
        for option in [
            "PreferredAuthentications=password",
            "NumberOfPasswordPrompts=1",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            // Of a busy machine: an attempt that ends before the password is none.
            "ConnectTimeout=6",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(to.to_string())
            .arg("true")
            .env("SSH_ASKPASS", password)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", ":0");
        let ran = finish(&mut ssh, Duration::from_secs(20));
        assert_ne!(ran.code, Some(0), "{user:?} logged in: {ran:?}");
    }

    /// Folder of its keys.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it running when the value is dropped.
    pub fn keep(&mut self) {
        self.server.keep();
        self.folder.keep();
    }

    /// `ssh` from a host, with the key and without questions; append the command to run.
    #[must_use]
    pub fn client(&self, from: &Namespace, to: IpAddr) -> Command {
        let mut ssh = from.command("ssh");
        ssh.args(["-F", "none", "-T", "-p", &self.port.to_string(), "-i"])
            .arg(self.folder.join("user"));
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=3",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("root@{to}"));
        ssh
    }

    /// Logs in and stays.
    ///
    /// # Panics
    /// When the login fails.
    #[must_use]
    pub fn session(&self, from: &Namespace, to: IpAddr) -> SshSession {
        let mut ssh = self.client(from, to);
        let mut child = ssh
            .arg("exec cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{ssh:?}: {error}"));
        let input = child.stdin.take().expect("piped above");
        let output = BufReader::new(child.stdout.take().expect("piped above"));
        let mut session = SshSession {
            child,
            input,
            output,
        };
        assert!(session.answers(), "no ssh session: {ssh:?}");
        session
    }
}

/// A login that lasts as long as the value.
#[derive(Debug)]
pub struct SshSession {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl SshSession {
    /// Sends a line through the session and reads it back. Waits ten seconds.
    pub fn answers(&mut self) -> bool {
        self.echoes("still there\n")
    }

    /// The same with a line of one's own, which ends in a newline.
    pub fn echoes(&mut self, text: &str) -> bool {
        let written = self.input.write_all(text.as_bytes());
        let mut answer = Vec::new();
        while written.is_ok() && !answer.ends_with(b"\n") && self.has_more() {
            match self.output.fill_buf() {
                Ok([]) | Err(_) => return false,
                Ok(bytes) => answer.extend_from_slice(bytes),
            }
            self.output.consume(self.output.buffer().len());
        }
        answer == text.as_bytes()
    }

    /// Waits for output, since the session itself would wait for as long as TCP does.
    fn has_more(&self) -> bool {
        const PATIENCE_MS: libc::c_int = 10_000;
        let mut poll = libc::pollfd {
            fd: self.output.get_ref().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd.
        let ready = unsafe { libc::poll(&raw mut poll, 1, PATIENCE_MS) };
        ready > 0
    }
}

impl Drop for SshSession {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// nginx on port 80, which answers every request with one line, but for `/large`.
#[derive(Debug)]
pub struct Nginx {
    server: Background,
    folder: Folder,
}

impl Nginx {
    /// Bytes of `/large`.
    pub const LARGE: u64 = 10 << 20;
    /// What it answers else.
    pub const BODY: &str = "hello from nginx\n";

    /// Folder of its configuration and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it running when the value is dropped.
    pub fn keep(&mut self) {
        self.server.keep();
        self.folder.keep();
    }

    /// Starts it on port 80; when this returns, it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        Self::on_ports(namespace, &[80])
    }

    /// Starts it on port 80 with a password before everything but `/open`, and with its logs in its folder:
    /// `access.log` and `error.log`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_password(namespace: &Namespace) -> Self {
        let folder = Folder::new();
        let at = folder.path().display().to_string();
        folder.write("passwords", "alice:{PLAIN}secret\n");
        let configuration = folder.write(
            "nginx.conf",
            &format!(
                "daemon off;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log {at}/error.log;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{\n access_log {at}/access.log combined;\n\
                  server {{ listen 80; listen [::]:80; root {at}/www;\n\
                  location / {{ auth_basic x; auth_basic_user_file {at}/passwords; }}\n\
                  location /open {{ }} }}\n}}\n"
            ),
        );
        for log in ["access.log", "error.log"] {
            folder.write(log, "");
        }
        std::fs::create_dir(folder.join("www")).expect("a folder");
        let mut command = privately(namespace, &folder, "nginx");
        command.arg("-c").arg(configuration);
        let mut server = Background::start(&mut command, folder.join("nginx.log"));
        until("nginx to listen", || {
            server.assert_alive();
            namespace.run(|| TcpStream::connect(("127.0.0.1", 80)).is_ok())
        });
        Self { server, folder }
    }

    /// Starts it on these ports.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn on_ports(namespace: &Namespace, ports: &[u16]) -> Self {
        let folder = Folder::new();
        let listen: String = ports
            .iter()
            .map(|port| format!("listen {port}; listen [::]:{port}; "))
            .collect();
        let configuration = folder.write(
            "nginx.conf",
            &format!(
                "daemon off;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log stderr;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{\n access_log off;\n default_type text/plain;\n\
                  server {{ {listen} location / {{ return 200 'hello from nginx\\n'; }}\n\
                  location = /large {{ alias {}; }} }}\n}}\n",
                folder.join("large").display()
            ),
        );
        // Without blocks on the disk.
        let large = File::create(folder.join("large")).and_then(|file| file.set_len(Self::LARGE));
        large.unwrap_or_else(|error| panic!("{}: {error}", folder.path().display()));
        let mut command = privately(namespace, &folder, "nginx");
        command.arg("-c").arg(configuration);
        let mut server = Background::start(&mut command, folder.join("nginx.log"));
        until("nginx to listen", || {
            server.assert_alive();
            let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
            namespace.run(|| ports.iter().all(listens))
        });
        Self { server, folder }
    }
}
