//! A real Docker engine inside a host, and containers of one image that holds busybox.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Background, Folder, Namespace, Ran, finish, unique_prefix, until, within};
use crate::require;

/// Most that a command of docker may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hides from the rest of the machine what the engine writes outside of its folders.
const PRIVATELY: &str = r#"set -e
for folder in /run /etc/docker /opt; do mount -t tmpfs tmpfs "$folder"; done
exec "$@"
"#;

/// The programs that an engine needs.
pub const DOCKER_PROGRAMS: [&str; 6] =
    ["dockerd", "docker", "busybox", "iptables", "tar", "unshare"];

/// dockerd with a bridge of both families. It and all that it starts live in a PID namespace of
/// their own and end together.
#[derive(Debug)]
pub struct Dockerd {
    // Ended by hand in `drop`, before its folders are taken away.
    server: Option<Background>,
    cgroup: String,
    folder: Folder,
}

impl Dockerd {
    /// Starts it; when this returns, it answers and has the image.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(host: &Namespace) -> Self {
        let folder = Folder::new();
        let cgroup = unique_prefix();
        let mut command = host.command("unshare");
        command
            .args(["--mount", "--propagation", "private", "--pid", "--fork"])
            .args(["--mount-proc", "--kill-child=SIGKILL"])
            .args(["sh", "-c", PRIVATELY, "sh", "dockerd", "--data-root"])
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .arg(format!("--host=unix://{}", folder.join("socket").display()))
            .arg(format!("--cgroup-parent=/{cgroup}"))
            // Not systemd's, whatever the machine runs.
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            // Of the options for IPv6, older engines call one an experiment.
            .args(["--experimental", "--ip6tables", "--ipv6"])
            .args(["--fixed-cidr-v6", "fd00:d0c::/64"]);
        let server = Background::start(&mut command, folder.join("log"));
        let mut docker = Self {
            server: Some(server),
            cgroup,
            folder,
        };
        until("dockerd to answer", || {
            if let Some(server) = &mut docker.server {
                server.assert_alive();
            }
            docker.folder.join("socket").exists() && docker.ask(&["ps"]).code == Some(0)
        });
        docker.make_image();
        docker
    }

    /// `docker WORDS`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn docker(&self, words: &[&str]) -> Ran {
        let ran = self.ask(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    /// Starts a container that lasts until the engine ends: `options` as for `docker run`, then a
    /// command of busybox.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn container(&self, name: &str, options: &[&str], applet: &[&str]) -> Container {
        let head = ["run", "--detach", "--name", name];
        let tail = [IMAGE, "/bin/busybox"];
        drop(self.docker(&[&head, options, &tail, applet].concat()));
        self.running(name)
    }

    /// A container that runs.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn running(&self, name: &str) -> Container {
        let format = "{{.NetworkSettings.SandboxKey}}";
        let key = self.docker(&["inspect", "--format", format, name]).stdout;
        // The name of the network is mounted where only the engine sees it. What is below /run
        // would otherwise be looked up through a link of this process's own root.
        let key = key.trim();
        let key = key.strip_prefix("/var").unwrap_or(key);
        let init = self.init().expect("dockerd has ended");
        let path = format!("/proc/{init}/root{key}");
        let namespace = Namespace::of_others(format!("container {name}"), path.into());
        until(&format!("the network of {name}"), || {
            namespace.path().exists()
                && !namespace.ip("-6 addr show dev eth0").contains("tentative")
        });
        Container { namespace }
    }

    /// Runs a container to its end, as [`Dockerd::container`] would start it.
    ///
    /// # Panics
    /// When it fails.
    pub fn ended_container(&self, name: &str, options: &[&str], applet: &[&str]) -> Ran {
        let head = ["run", "--name", name];
        let tail = [IMAGE, "/bin/busybox"];
        self.docker(&[&head, options, &tail, applet].concat())
    }

    /// Where the engine keeps its files.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Puts a file into a container.
    ///
    /// # Panics
    /// When it cannot.
    pub fn put(&self, container: &str, path: &str, bytes: &[u8]) {
        let file = self.folder.join("put");
        fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let target = format!("{container}:{path}");
        drop(self.docker(&["cp", &file.display().to_string(), &target]));
    }

    /// What leads a client to it: the value of `DOCKER_HOST`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    fn ask(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_CONFIG", self.folder.path())
            .arg(format!("--host={}", self.address()))
            .args(words);
        finish(&mut command, PATIENCE)
    }

    /// First process of the PID namespace, while it lives.
    fn init(&self) -> Option<u32> {
        let outer = self.server.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// The image: busybox, and `/www` with a page.
    fn make_image(&self) {
        const PACK: &str = r#"set -e
mkdir -p "$1/bin" "$1/www"
cp "$2" "$1/bin/busybox"
echo hello from the container >"$1/www/index.html"
tar -C "$1" -cf "$1.tar" .
"#;
        let busybox = require::find("busybox").expect("busybox is installed");
        let root = self.folder.join("image");
        let mut pack = Command::new("sh");
        pack.args(["-c", PACK, "sh"]).arg(&root).arg(busybox);
        drop(finish(&mut pack, PATIENCE).ok());
        let tar = self.folder.join("image.tar").display().to_string();
        drop(self.docker(&["import", &tar, IMAGE]));
    }
}

/// Name of the image.
const IMAGE: &str = "lab";

impl Drop for Dockerd {
    fn drop(&mut self) {
        let init = self.init();
        drop(self.server.take());
        // Mounts and control groups are free once the last process is gone.
        let is_gone = || init.is_none_or(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        let free = within(Duration::from_secs(10), || {
            (is_gone() && remove_cgroups(&self.cgroup)).then_some(())
        });
        if free.is_none() {
            eprintln!("lab: control groups {} stay", self.cgroup);
        }
    }
}

/// Removes the groups of this name from every hierarchy; is none left?
fn remove_cgroups(name: &str) -> bool {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
    let roots = hierarchies
        .flatten()
        .map(|entry| entry.path())
        .chain([PathBuf::from("/sys/fs/cgroup")]);
    let ours: Vec<PathBuf> = roots
        .map(|root| root.join(name))
        .filter(|group| group.is_dir())
        .collect();
    ours.iter().all(|group| remove_group(group))
}

/// A group and those below it.
fn remove_group(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok()
}

/// A container that runs. It is used as the network that it is.
#[derive(Debug)]
pub struct Container {
    namespace: Namespace,
}

impl std::ops::Deref for Container {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}
