//! Hosts as network namespaces, joined by veth pairs. Everything is named after this process and
//! taken down when the value is dropped, also by a panic; only children started here are ended.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};

const NAMESPACES: &str = "/var/run/netns";
const PREFIX: &str = "guard-test";

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique(role: &str) -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}-{}-{count}-{role}", std::process::id())
}

/// A network namespace with its loopback device up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace; `role` is the readable part of its name.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn new(role: &str) -> Result<Self> {
        remove_orphans();
        let name = unique(role);
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        // An address is usable at once: nobody else is on these links.
        namespace.sysctl("net/ipv6/conf/all/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        Ok(namespace)
    }

    /// Its name below `/var/run/netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside, for example `["addr", "add", …]`.
    ///
    /// # Errors
    /// What `ip` prints.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// Sets a value below `/proc/sys` for this namespace.
    ///
    /// # Errors
    /// When there is no such value.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        let file = Path::new("/proc/sys").join(path);
        self.within(|| fs::write(&file, value))?
            .with_context(|| format!("{path} = {value}"))
    }

    /// Joins two namespaces by a veth pair; both ends are up.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn join(&self, name: &str, peer: &Self, peer_name: &str) -> Result<()> {
        ip(&[
            "link", "add", name, "netns", &self.name, "type", "veth", "peer", "name", peer_name,
            "netns", &peer.name,
        ])?;
        self.ip(&["link", "set", name, "up"])?;
        peer.ip(&["link", "set", peer_name, "up"])
    }

    /// Gives an interface an address with its prefix length.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn address(&self, interface: &str, address: &str) -> Result<()> {
        let v6_only: &[&str] = if address.contains(':') {
            &["nodad"]
        } else {
            &[]
        };
        self.ip(&[&["addr", "add", address, "dev", interface], v6_only].concat())
    }

    /// Sends everything else to this gateway.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn default_route(&self, gateway: &str) -> Result<()> {
        self.ip(&["route", "add", "default", "via", gateway])
    }

    /// Runs a closure on a thread of its own inside the namespace: sockets that it opens, and
    /// interfaces that it names, are those of the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    /// When the closure does.
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        let namespace = self.file()?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| enter(&namespace).map(|()| work()));
            match thread.join() {
                Ok(result) => result.with_context(|| format!("enter {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A command that will run inside, in a process group of its own.
    ///
    /// # Errors
    /// When the namespace is gone.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let namespace = self.file()?;
        let mut command = Command::new(program);
        command.process_group(0);
        // SAFETY: between fork and exec the closure makes one system call on a descriptor that it
        // owns, and allocates nothing.
        unsafe { command.pre_exec(move || enter(&namespace)) };
        Ok(command)
    }

    /// Runs a program inside to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn exec(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(program)?;
        command
            .args(arguments)
            .output()
            .with_context(|| format!("{program} {arguments:?}"))
    }

    /// Starts a program inside; it ends when the returned value is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Running> {
        let mut command = self.command(program)?;
        let child = command.args(arguments).spawn();
        Ok(Running(
            child.with_context(|| format!("{program} {arguments:?}"))?,
        ))
    }

    fn file(&self) -> Result<File> {
        let path = Path::new(NAMESPACES).join(&self.name);
        File::open(&path).with_context(|| path.display().to_string())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}

/// A program that was started; ended, with everything in its process group, when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = -(self.0.id() as libc::pid_t);
        // SAFETY: the call takes integers. The group was made for this child, which is not yet
        // waited for, so its number belongs to nobody else.
        unsafe { libc::kill(group, libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: the call takes an open descriptor and touches no memory.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip")?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Removes namespaces of test processes that were killed before they could.
fn remove_orphans() {
    let Ok(entries) = fs::read_dir(NAMESPACES) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('-')?.split('-').next());
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

/// The hosts of the acceptance tests: a server, a friend and an attacker, each on a network of its
/// own behind the router `wan`.
#[derive(Debug)]
pub struct Topology {
    /// The host under test; its `eth0` is [`Topology::SERVER`].
    pub srv: Namespace,
    /// A client that policies may allow.
    pub friend: Namespace,
    /// A client that they do not.
    pub bad: Namespace,
    /// Forwards between the three.
    pub wan: Namespace,
}

impl Topology {
    /// Addresses of the server.
    pub const SERVER: [&'static str; 2] = ["192.0.2.1", "2001:db8:2::1"];
    /// Addresses of the friend.
    pub const FRIEND: [&'static str; 2] = ["198.51.100.10", "2001:db8:100::10"];
    /// Addresses of the attacker.
    pub const BAD: [&'static str; 2] = ["203.0.113.66", "2001:db8:66::66"];

    /// Builds the hosts and their routes.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn new() -> Result<Self> {
        let topology = Self {
            srv: Namespace::new("srv")?,
            friend: Namespace::new("friend")?,
            bad: Namespace::new("bad")?,
            wan: Namespace::new("wan")?,
        };
        let Self {
            srv,
            friend,
            bad,
            wan,
        } = &topology;
        wan.sysctl("net/ipv4/ip_forward", "1")?;
        wan.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        for (host, port, [v4, v6], [gateway_v4, gateway_v6]) in [
            (srv, "srv0", Self::SERVER, ["192.0.2.254", "2001:db8:2::fe"]),
            (
                friend,
                "friend0",
                Self::FRIEND,
                ["198.51.100.254", "2001:db8:100::fe"],
            ),
            (bad, "bad0", Self::BAD, ["203.0.113.254", "2001:db8:66::fe"]),
        ] {
            host.join("eth0", wan, port)?;
            for (here, there, bits) in [(v4, gateway_v4, 24), (v6, gateway_v6, 64)] {
                host.address("eth0", &format!("{here}/{bits}"))?;
                wan.address(port, &format!("{there}/{bits}"))?;
                host.default_route(there)?;
            }
        }
        Ok(topology)
    }
}

/// A private bpf file system below the temporary folder.
#[derive(Debug)]
pub struct BpfFs(PathBuf);

impl BpfFs {
    /// Mounts a new one.
    ///
    /// # Errors
    /// When the folder cannot be made or the kernel refuses the mount.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(unique("bpf"));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        let mounted = Self(path);
        let output = Command::new("mount")
            .args(["-t", "bpf", "bpf"])
            .arg(&mounted.0)
            .output()?;
        if !output.status.success() {
            bail!("mount: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(mounted)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
        let _ = fs::remove_dir(&self.0);
    }
}
