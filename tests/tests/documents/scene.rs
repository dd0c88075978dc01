//! A server at which the commands of a chapter are typed.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use guard_tests::lab::{GuardDaemon, Instance, Ran, Topology, finish, own_mounts};

/// Most that one command may take; `enable` answers before its time to confirm is over.
const LIMIT: Duration = Duration::from_secs(60);
/// Types a line where `guardctl` is found, and `/etc/hosts` knows the names of the documents.
const TYPE: &str = "mount --bind \"$TYPED_HOSTS\" /etc/hosts && cd \"$TYPED_FOLDER\" \
    && PATH=$(dirname \"$1\"):$PATH && export PATH && eval \"$2\"";
const HOSTS: &str = "198.51.100.10 home.example.org\n2001:db8:100::10 home.example.org\n";

/// A server with guard, not enabled yet.
pub(crate) struct Scene {
    daemon: Option<GuardDaemon>,
    pub(crate) guard: Instance,
    pub(crate) lab: Topology,
    /// As `SSH_CONNECTION` has it.
    session: Option<String>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        let scene = Self {
            daemon: None,
            guard,
            lab,
            session: None,
        };
        fs::create_dir(scene.folder()).expect("a folder");
        fs::write(scene.hosts(), HOSTS).expect("written");
        scene
    }

    fn hosts(&self) -> PathBuf {
        self.guard.folder().join("hosts")
    }

    /// Where commands are typed.
    pub(crate) fn folder(&self) -> PathBuf {
        self.guard.folder().join("typed")
    }

    /// A file of the policy's folder.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.guard.etc().join(name);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// From here on whoever types is logged in from the friend.
    pub(crate) fn log_in(&mut self) {
        let (friend, server) = (self.lab.friend.v4, self.lab.srv.v4);
        self.session = Some(format!("{friend} 50000 {server} 22"));
    }

    pub(crate) fn start_daemon(&mut self) {
        let mut command = self.command("exec guardctl daemon");
        self.daemon = Some(GuardDaemon::start_as(&self.guard, &mut command));
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.guard.command_behind(&own_mounts(TYPE), &[line]);
        command
            .env("TYPED_HOSTS", self.hosts())
            .env("TYPED_FOLDER", self.folder())
            // An operator who looks at a file and leaves it as it is.
            .env("EDITOR", "true")
            .env_remove("VISUAL");
        if let Some(session) = &self.session {
            command.env("SSH_CONNECTION", session);
        }
        command
    }

    /// Types it, and confirms what waits for that, as is told over SSH.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let ran = finish(&mut self.command(line), LIMIT);
        if self.session.is_some() && ran.stdout.contains("PENDING") {
            drop(finish(&mut self.command("guardctl confirm"), LIMIT).ok());
        }
        ran
    }
}
