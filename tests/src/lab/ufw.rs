//! A real ufw inside a host, with rules of its own.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};

use super::{Folder, Namespace, Ran, finish, own_mounts};

/// Most that a command of ufw may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hides from the rest of the machine what ufw writes: its rules, its log, its locks.
const PRIVATELY: &str = r#"set -e
mount --bind "$1/ufw" /etc/ufw
mount --bind "$1/default" /etc/default
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
shift
exec ufw "$@"
"#;

/// The programs that it needs.
pub const UFW_PROGRAMS: [&str; 4] = ["ufw", "iptables", "nft", "unshare"];

/// ufw for one host, off until `enable`.
#[derive(Debug)]
pub struct Ufw {
    network: String,
    folder: Folder,
}

impl Ufw {
    /// With the configuration that the package brings.
    ///
    /// # Panics
    /// When that cannot be copied.
    #[must_use]
    pub fn new(host: &Namespace) -> Self {
        let folder = Folder::new();
        for (from, to) in [("/etc/ufw", "ufw"), ("/etc/default", "default")] {
            let mut copy = Command::new("cp");
            copy.args(["-a", from]).arg(folder.join(to));
            drop(finish(&mut copy, PATIENCE).ok());
        }
        // As they would lie below the root of a machine.
        fs::create_dir(folder.join("etc")).expect("a folder");
        for name in ["ufw", "default"] {
            let link = folder.join("etc").join(name);
            symlink(folder.join(name), link).expect("a link");
        }
        let ufw = Self {
            network: format!("--net={}", host.path().display()),
            folder,
        };
        // Whatever the machine's own ufw has been told.
        drop(ufw.ufw("--force reset"));
        ufw
    }

    /// The folder in which its etc/ufw and etc/default lie.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// `ufw LINE`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn ufw(&self, line: &str) -> Ran {
        let mut command = Command::new("nsenter");
        command
            .arg(&self.network)
            .args(own_mounts(PRIVATELY))
            .arg(self.folder.path())
            .args(line.split(' '));
        let ran = finish(&mut command, PATIENCE);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }
}
