//! An instance of guard with folders of its own.

use std::{
    env,
    ffi::CString,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::{Folder, Namespace, Ran, finish};

/// Most that a command of guardctl may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// guard for one namespace: policy, state and lock in a temporary folder, pins on a BPF file system
/// of its own. Dropping it takes guard off.
#[derive(Debug)]
pub struct Instance {
    folder: Folder,
    network: PathBuf,
    is_kept: bool,
}

impl Instance {
    /// With a fresh BPF file system and no policy.
    ///
    /// # Panics
    /// When the BPF file system cannot be mounted.
    #[must_use]
    pub fn new(namespace: &Namespace) -> Self {
        let instance = Self::without_bpffs(namespace);
        mount_bpffs(&instance.bpffs());
        instance
    }

    /// The same with a plain folder where the pins should go.
    ///
    /// # Panics
    /// When the folders cannot be made.
    #[must_use]
    pub fn without_bpffs(namespace: &Namespace) -> Self {
        let instance = Self {
            folder: Folder::new(),
            network: namespace.path(),
            is_kept: false,
        };
        for name in ["etc", "state", "run", "bpf", "units"] {
            let path = instance.folder.join(name);
            fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        instance
    }

    /// Leaves everything standing when the value is dropped.
    pub fn keep(&mut self) {
        self.is_kept = true;
        self.folder.keep();
    }

    /// Folder of everything below.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Folder of the policy.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// Folder of what survives a reboot.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Folder of the lock.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// Folder of the pins.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.folder.join("bpf")
    }

    /// Writes the policy file.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write_policy(&self, text: &str) {
        self.folder.write("etc/guard.toml", text);
    }

    /// Writes a file of jails.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write_jails(&self, text: &str) {
        let folder = self.etc().join("jails.d");
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        self.folder.write("etc/jails.d/test.toml", text);
    }

    /// The text of the policy file, empty when there is none.
    #[must_use]
    pub fn policy(&self) -> String {
        fs::read_to_string(self.etc().join("guard.toml")).unwrap_or_default()
    }

    /// The variables that lead guardctl to this instance.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("GUARD_ETC", self.etc()),
            ("GUARD_STATE", self.state()),
            ("GUARD_RUN", self.run()),
            ("GUARD_BPFFS", self.bpffs()),
            ("GUARD_UNITS", self.folder.join("units")),
        ]
    }

    /// guardctl with these words, not started yet.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_behind(&[], words)
    }

    /// guardctl started by another program: `["setpriv", "--bounding-set", "-bpf"]`.
    #[must_use]
    pub fn command_behind(&self, launcher: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network.display()))
            .args(launcher)
            .arg(guardctl_path())
            .args(words)
            .envs(self.environment())
            // Of whoever runs the tests; it would name a session that is not in this namespace.
            .env_remove("SSH_CONNECTION");
        command
    }

    /// Runs guardctl with these words, without a terminal.
    ///
    /// # Panics
    /// When it does not end.
    pub fn guardctl(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words), PATIENCE)
    }

    /// The same behind another program.
    ///
    /// # Panics
    /// As [`Instance::guardctl`].
    pub fn guardctl_behind(&self, launcher: &[&str], words: &[&str]) -> Ran {
        finish(&mut self.command_behind(launcher, words), PATIENCE)
    }

    /// Every source that is banned, in order; one that several have banned stands there as often.
    ///
    /// # Panics
    /// When guardctl does not say.
    #[must_use]
    pub fn banned(&self) -> Vec<String> {
        let listed = self.guardctl(&["bans", "list", "--json"]).ok().json();
        let bans = listed["bans"].as_array().expect("bans");
        let source = |ban: &Value| ban["source"].as_str().expect("a source").to_owned();
        let mut sources: Vec<String> = bans.iter().map(source).collect();
        sources.sort_unstable();
        sources
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        unmount_bpffs(&self.bpffs());
    }
}

/// Where guardctl is: `GUARDCTL`, else beside the folder of the test executable.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn guardctl_path() -> PathBuf {
    if let Some(path) = env::var_os("GUARDCTL") {
        return path.into();
    }
    let this = env::current_exe().expect("the path of this program");
    let built = this
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("guardctl"))
        .find(|candidate| candidate.is_file());
    built.unwrap_or_else(|| panic!("no guardctl above {}: `cargo xtask build`", this.display()))
}

/// Mounts a BPF file system.
///
/// # Panics
/// When the kernel refuses it.
pub fn mount_bpffs(folder: &Path) {
    let path = CString::new(folder.as_os_str().as_bytes()).expect("a path");
    // SAFETY: terminated strings or null, as mount(2) wants them.
    let result = unsafe {
        libc::mount(
            c"bpf".as_ptr(),
            path.as_ptr(),
            c"bpf".as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    let error = io::Error::last_os_error();
    assert_eq!(result, 0, "mount -t bpf {}: {error}", folder.display());
}

/// Takes a BPF file system away with all pins: a pin is what keeps a program attached and a map alive.
pub fn unmount_bpffs(folder: &Path) {
    remove_pins(folder);
    unmount(folder);
}

fn remove_pins(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            remove_pins(&path);
            fs::remove_dir(&path).ok();
        } else {
            fs::remove_file(&path).ok();
        }
    }
}

/// As often as something is mounted there.
fn unmount(folder: &Path) {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else {
        return;
    };
    // SAFETY: a terminated string and an integer.
    while unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) } == 0 {}
}
