//! rsyslog, as Debian and Ubuntu run it, for programs that log by `syslog(3)`.

use std::{fs, path::PathBuf, process::Command};

use super::{Background, Folder, until};
use crate::require;

/// Who listens to programs that log by `syslog(3)`.
pub trait LogDaemon {
    /// Where programs write.
    fn socket(&self) -> PathBuf;
    /// What was written so far.
    fn said(&self) -> String;
}

/// A log of its own in `auth.log`.
#[derive(Debug)]
pub struct Syslog {
    _server: Background,
    folder: Folder,
}

impl Syslog {
    /// Starts it; when this returns, its socket is there.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = Folder::new();
        let at = folder.path().display();
        let configuration = folder.write(
            "rsyslog.conf",
            &format!(
                "global(workDirectory=\"{at}\")\n\
                 module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                 input(type=\"imuxsock\" Socket=\"{at}/socket\")\n\
                 auth,authpriv.* action(type=\"omfile\" file=\"{at}/auth.log\")\n"
            ),
        );
        fs::write(folder.join("auth.log"), b"").expect("a log");
        let program = require::find("rsyslogd").expect("rsyslogd is not installed");
        let mut command = Command::new(program);
        command
            .arg("-n")
            .args(["-i", "NONE", "-f"])
            .arg(configuration);
        let mut server = Background::start(&mut command, folder.join("rsyslog.log"));
        until("rsyslog to listen", || {
            server.assert_alive();
            folder.join("socket").exists()
        });
        Self {
            _server: server,
            folder,
        }
    }

    /// The file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("auth.log")
    }
}

impl LogDaemon for Syslog {
    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn said(&self) -> String {
        fs::read(self.log()).map_or_else(
            |_| String::new(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }
}
