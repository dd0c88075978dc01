//! A network namespace.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::PathBuf,
    process::Command,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Ran, finish};

/// Most that a command for setting something up may take.
const SET_UP: Duration = Duration::from_secs(20);

/// A network namespace of its own, with loopback up; gone with the value, and with it whatever
/// still runs inside.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    path: PathBuf,
    is_kept: bool,
}

impl Namespace {
    /// Makes it. `name` must be unique on this machine.
    ///
    /// # Panics
    /// When `ip netns add` fails.
    #[must_use]
    pub fn new(name: String) -> Self {
        ip(&format!("netns add {name}"));
        let namespace = Self {
            path: format!("/var/run/netns/{name}").into(),
            name,
            is_kept: false,
        };
        // Addresses are used at once: nobody else could have them.
        for key in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{key}/accept_dad"), "0");
        }
        namespace.ip("link set lo up");
        namespace
    }

    /// One that somebody else has made, a container's for instance, and will take away.
    #[must_use]
    pub fn of_others(name: String, path: PathBuf) -> Self {
        Self {
            name,
            path,
            is_kept: true,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Leaves it standing when the value is dropped.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// A program inside. `nsenter` rather than `ip netns exec`, which would mount a new /sys over
    /// the BPF file system and the cgroups.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg(program);
        command
    }

    /// `ip ARGUMENTS` inside.
    ///
    /// # Panics
    /// When it fails.
    pub fn ip(&self, arguments: &str) -> String {
        let mut command = self.command("ip");
        command.args(arguments.split(' '));
        finish(&mut command, SET_UP).ok().stdout
    }

    /// Several lines for `ip` inside, in one process.
    ///
    /// # Panics
    /// When one fails.
    pub fn ip_batch(&self, lines: &str) {
        let mut command = self.command("sh");
        command.args(["-c", "printf '%s' \"$1\" | ip -batch -", "sh", lines]);
        let _: Ran = finish(&mut command, SET_UP).ok();
    }

    /// Hardware address of an interface inside.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn mac(&self, interface: &str) -> [u8; 6] {
        let listed = self.ip(&format!("-j link show dev {interface}"));
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON of ip");
        let text = listed[0]["address"].as_str().unwrap_or_default();
        let parts: Vec<u8> = text
            .split(':')
            .filter_map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        parts
            .try_into()
            .unwrap_or_else(|_| panic!("{interface}: no hardware address in {listed}"))
    }

    /// Sets a value below /proc/sys.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn sysctl(&self, key: &str, value: &str) {
        let written = self.run(|| std::fs::write(format!("/proc/sys/{key}"), value));
        written.unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
    }

    /// Runs `work` on a thread inside and returns its answer. What it opens stays inside.
    ///
    /// # Panics
    /// When `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(path).expect("a namespace of the lab");
                work()
            });
            match thread.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts a thread inside.
    #[must_use]
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let path = self.path();
        thread::spawn(move || {
            enter(path).expect("a namespace of the lab");
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        end_processes(&self.name);
        let mut command = Command::new("ip");
        command.args(["netns", "del", &self.name]);
        match command.output() {
            Ok(output) if output.status.success() => {}
            answer => eprintln!("lab: namespace {} stays: {answer:?}", self.name),
        }
    }
}

/// Moves the calling thread, and no other, into a namespace.
fn enter(path: PathBuf) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: `file` keeps the descriptor open, and the call touches no memory.
    let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `ip ARGUMENTS` outside.
fn ip(arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    let _: Ran = finish(&mut command, SET_UP).ok();
}

/// Ends what still runs inside: descendants of children that are gone, such as the sessions of an
/// SSH server. Only the lab starts programs in a namespace of its own.
fn end_processes(name: &str) {
    let listed = Command::new("ip").args(["netns", "pids", name]).output();
    let Ok(listed) = listed else { return };
    for pid in String::from_utf8_lossy(&listed.stdout).lines() {
        let Ok(pid) = pid.trim().parse::<i32>() else {
            continue;
        };
        if pid > 1 && pid.unsigned_abs() != std::process::id() {
            // SAFETY: the call takes integers and touches no memory.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}
