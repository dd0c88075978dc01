//! systemd's journald, without systemd: with a journal, sockets and a configuration of its own, which the programs see
//! that are started inside.

use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use super::{Background, Folder, LogDaemon, Ran, finish, own_mounts, unique_prefix, until};
use crate::require;

/// Where systemd keeps it.
const PROGRAMS: [&str; 2] = [
    "/usr/lib/systemd/systemd-journald",
    "/lib/systemd/systemd-journald",
];
/// Most that a command inside may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A view of /run, /var/log and the machine's name in which nobody else's journal is: $1 is the folder.
const INSIDE: &str = r#"set -e
mount --bind "$1/run" /run
mount --bind "$1/log" /var/log
mount --bind "$1/machine-id" /etc/machine-id
shift
exec "$@"
"#;

/// A journal that is kept on the disk.
#[derive(Debug)]
pub struct Journald {
    server: Option<Background>,
    folder: Folder,
}

impl Journald {
    /// Is everything there that it needs?
    #[must_use]
    pub fn is_possible() -> bool {
        let has_server = program().is_some();
        require::programs(&["unshare", "journalctl", "systemd-cat"])
            && require::need(has_server, || {
                "needs systemd-journald: `cargo xtask setup --tests`".to_owned()
            })
            && require::need(Path::new("/etc/machine-id").is_file(), || {
                "needs an /etc/machine-id".to_owned()
            })
    }

    /// Starts it with these lines of journald.conf; when this returns, it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &str) -> Self {
        let folder = Folder::new();
        for name in [
            "run/systemd/journal",
            "run/systemd/journald.conf.d",
            "log/journal",
        ] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        folder.write("machine-id", "0123456789abcdef0123456789abcdef\n");
        // Nothing of the machine's kernel, and no other journal than the one on the disk.
        folder.write(
            "run/systemd/journald.conf.d/lab.conf",
            &format!(
                "[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nForwardToWall=no\n{settings}"
            ),
        );
        folder.write("run/systemd/journal/flushed", "");
        let mut journald = Self {
            server: None,
            folder,
        };
        journald.start_again();
        journald
    }

    /// Starts it after it was killed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.kill();
        let sockets = [
            self.socket(),
            self.folder.join("run/systemd/journal/stdout"),
        ];
        for socket in &sockets {
            // There is none the first time.
            fs::remove_file(socket).unwrap_or_default();
        }
        let mut command = self.inside(program().expect("asked for before"));
        let log = self.folder.join("journald.log");
        let mut server = Background::start(&mut command, log);
        until("journald to listen", || {
            server.assert_alive();
            sockets.iter().all(|socket| socket.exists())
        });
        self.server = Some(server);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        drop(self.server.take());
    }

    /// What puts a program inside, in front of its path.
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        let mut words = own_mounts(INSIDE).map(str::to_owned).to_vec();
        words.push(self.folder.path().display().to_string());
        words
    }

    /// A program inside.
    #[must_use]
    pub fn inside(&self, program: impl AsRef<Path>) -> Command {
        let launcher = self.launcher();
        let mut command = Command::new(&launcher[0]);
        command.args(&launcher[1..]).arg(program.as_ref());
        command
    }

    /// Sends it an entry of the test's own, as its native protocol has it.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn send(&self, fields: &[u8]) {
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.send_to(fields, self.folder.join("run/systemd/journal/socket"))
        });
        assert_eq!(sent.expect("journald listens"), fields.len());
    }

    /// `journalctl` inside.
    ///
    /// # Panics
    /// When it does not end.
    pub fn journalctl(&self, arguments: &[&str]) -> Ran {
        finish(self.inside("journalctl").args(arguments), PATIENCE)
    }
}

impl LogDaemon for Journald {
    fn socket(&self) -> PathBuf {
        self.folder.join("run/systemd/journal/dev-log")
    }

    fn said(&self) -> String {
        self.journalctl(&["--no-pager", "--quiet"]).stdout
    }
}

fn program() -> Option<PathBuf> {
    PROGRAMS
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// A process that runs as a service of systemd would, in a control group of the unit's name, which is what journald
/// goes by; what it is given it prints, as a line of the journal each.
#[derive(Debug)]
pub struct Service {
    printer: Option<(Child, ChildStdin)>,
    folder: PathBuf,
}

impl Service {
    /// Can there be one?
    #[must_use]
    pub fn is_possible() -> bool {
        require::need(hierarchy().is_some(), || {
            "needs control groups of version 2".to_owned()
        })
    }

    /// Starts one of this unit.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(unit: &str, journald: &Journald) -> Self {
        // A hyphen in the name of a slice would be one more level.
        let slice = format!("{}.slice", unique_prefix().replace('-', ""));
        let folder = hierarchy()
            .expect("asked for before")
            .join(slice)
            .join(unit);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut service = Self {
            printer: None,
            folder,
        };
        service.start_again(journald);
        service
    }

    /// What puts another program into the unit, in front of its path.
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        let join = "echo $$ > \"$0\" && exec \"$@\"";
        let procs = self.folder.join("cgroup.procs").display().to_string();
        ["sh", "-c", join]
            .map(str::to_owned)
            .into_iter()
            .chain([procs])
            .collect()
    }

    /// Starts it anew, as is needed after the death of journald.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self, journald: &Journald) {
        self.stop();
        let cat = journald.inside("systemd-cat");
        let mut command = Command::new("sh");
        let mut child = command
            .args(["-c", "echo $$ > \"$1\" && shift && exec \"$@\"", "sh"])
            .arg(self.folder.join("cgroup.procs"))
            .arg(cat.get_program())
            .args(cat.get_args())
            .args(["-t", "sshd", "cat"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().expect("piped above");
        self.printer = Some((child, input));
    }

    /// Has it print these lines.
    ///
    /// # Panics
    /// When it is gone.
    pub fn prints(&mut self, lines: &str) {
        let (_, input) = self.printer.as_mut().expect("started");
        input.write_all(lines.as_bytes()).expect("printed");
    }

    fn stop(&mut self) {
        if let Some((mut child, input)) = self.printer.take() {
            drop(input);
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
        let slice = self.folder.parent().expect("a slice");
        for folder in [self.folder.as_path(), slice] {
            if let Err(error) = fs::remove_dir(folder) {
                eprintln!("lab: {} stays: {error}", folder.display());
            }
        }
    }
}

/// Where control groups of version 2 are mounted.
fn hierarchy() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .map(PathBuf::from)
        .find(|folder| {
            folder.join("cgroup.procs").is_file() && folder.join("cgroup.controllers").is_file()
        })
}
