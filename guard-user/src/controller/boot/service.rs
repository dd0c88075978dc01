//! The units that put guard in force at boot and keep it on every interface, and the rule of udev for
//! NICs that appear later: written to their folders, removed from them, and asked for.

mod package;
mod program;
mod shared;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    controller::{Controller, state::policy_files::stage_failure},
    failure::{Exit, Failure, from_io},
    layout::{DEFAULT_UNITS, Layout},
    text::staged::Staged,
};

use shared::ShareFolder;
pub use shared::SharedFile;

/// A unit as it is packaged.
struct Unit {
    name: &'static str,
    text: &'static str,
}

/// In the order in which they are started.
const UNITS: [Unit; 4] = [
    Unit {
        name: "guard-load.service",
        text: include_str!("../../../../packaging/systemd/guard-load.service"),
    },
    Unit {
        name: "guard.service",
        text: include_str!("../../../../packaging/systemd/guard.service"),
    },
    Unit {
        name: "guard-names.socket",
        text: include_str!("../../../../packaging/systemd/guard-names.socket"),
    },
    Unit {
        name: "guard-names.service",
        text: include_str!("../../../../packaging/systemd/guard-names.service"),
    },
];

/// The rule of udev as it is packaged.
const RULE: Unit = Unit {
    name: "75-guard.rules",
    text: include_str!("../../../../packaging/udev/75-guard.rules"),
};

/// Where a package installs guardctl; the units name it.
const PACKAGED: &str = "/usr/sbin/guardctl";

/// What there is of the units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Where `guard-load.service` is; `None` = nothing is in force after a reboot.
    pub load: Option<PathBuf>,
    /// Where `guard.service` is.
    pub daemon: Option<PathBuf>,
}

/// What `service install` or `remove` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChange {
    /// Files written or removed; none when all was as it should be.
    pub files: Vec<PathBuf>,
    /// Where the units are that a package owns: they are turned on and off, and neither written nor removed.
    pub package: Option<PathBuf>,
    /// Was systemd told?
    pub systemd_reloaded: bool,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

impl Controller {
    /// What there is of the units.
    #[must_use]
    pub fn service_status(&self) -> ServiceStatus {
        let find = |unit: &Unit| {
            let own = self.layout.units.join(unit.name);
            if own.exists() {
                return Some(own);
            }
            let packaged = package::folder().filter(|_| self.is_systemds())?;
            package::is_enabled(&self.layout.units, unit.name).then(|| packaged.join(unit.name))
        };
        let [load, daemon, ..] = &UNITS;
        ServiceStatus {
            load: find(load),
            daemon: find(daemon),
        }
    }

    /// Writes manual, completions and units for this program and these folders, and has systemd use them if it runs.
    ///
    /// # Errors
    /// Exit 7 for a program that others may exchange or that units do not see; when the folder is not
    /// writable, or systemd refuses.
    pub fn install_service(&self, shared: &[SharedFile]) -> Result<ServiceChange, Failure> {
        let program = env::current_exe()
            .map_err(|error| from_io("cannot find the path of this program", &error))?;
        if self.is_systemds() {
            program::refuse_unfit(&program)?;
            if let Some(packaged) = package::folder_of(&program) {
                return self.enable_units_of(packaged);
            }
        }
        let mut warnings = Vec::new();
        let share = ShareFolder::of(&program, &self.layout);
        let mut files = share.write(shared).unwrap_or_else(|failure| {
            // A folder that cannot be written is no reason to go without protection.
            warnings.push(format!(
                "manual and completions are not installed: {}",
                failure.message
            ));
            Vec::new()
        });
        let units = UNITS.iter().map(|unit| {
            let path = self.layout.units.join(unit.name);
            let text = text(unit, &program, &self.layout);
            let text = if share.has_manual() {
                documented(&text)
            } else {
                text
            };
            (path, text)
        });
        let rule = self.layout.udev_rules().join(RULE.name);
        for (path, text) in units.chain([(rule, rule_text(&program, &self.layout))]) {
            if fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            let written = Staged::write(&path, &text)
                .and_then(|staged| {
                    // Units are for everybody to read.
                    staged.readable_by_all()?;
                    staged.commit()
                })
                .map_err(|error| stage_failure(&error));
            written?;
            files.push(path);
        }
        let systemd_reloaded = self.has_systemd();
        if systemd_reloaded {
            start_units()?;
        }
        Ok(ServiceChange {
            files,
            package: None,
            systemd_reloaded,
            warnings,
        })
    }

    /// Removes units, manual and completions. Enforcement stays until the next reboot.
    ///
    /// # Errors
    /// When a file cannot be removed, or systemd refuses.
    pub fn remove_service(&self) -> Result<ServiceChange, Failure> {
        let mut files: Vec<PathBuf> = UNITS
            .iter()
            .map(|unit| self.layout.units.join(unit.name))
            .chain([self.layout.udev_rules().join(RULE.name)])
            .filter(|path| path.exists())
            .collect();
        let package = package::folder().filter(|_| self.is_systemds() && files.is_empty());
        let systemd_reloaded = self.has_systemd() && (!files.is_empty() || package.is_some());
        if systemd_reloaded {
            systemctl(&["disable", "--now", "guard.service"])?;
            systemctl(&["disable", "guard-load.service"])?;
            systemctl(&["stop", "guard-names.socket", "guard-names.service"])?;
        }
        for path in &files {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(from_io(path.display(), &error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if systemd_reloaded {
            reload_udev();
            systemctl(&["daemon-reload"])?;
        }
        let program = env::current_exe()
            .map_err(|error| from_io("cannot find the path of this program", &error))?;
        files.extend(ShareFolder::of(&program, &self.layout).remove()?);
        Ok(ServiceChange {
            files,
            package,
            systemd_reloaded,
            warnings: Vec::new(),
        })
    }

    /// Can an installed unit be expected to start at boot?
    #[must_use]
    pub fn has_systemd(&self) -> bool {
        self.is_systemds() && sd_notify::booted().unwrap_or(false)
    }

    fn is_systemds(&self) -> bool {
        self.layout.units == Path::new(DEFAULT_UNITS)
    }
}

/// The unit for a program and folders that are not the packaged ones.
fn text(unit: &Unit, program: &Path, layout: &Layout) -> String {
    let start = format!("ExecStart={}", program.display());
    let text = unit.text.replace(&format!("ExecStart={PACKAGED}"), &start);
    let socket = format!("ListenStream={}", layout.resolver().display());
    let text = text.replace("ListenStream=/run/guard/names.sock", &socket);
    let moved = moved_folders(layout);
    if moved.is_empty() {
        return text;
    }
    let environment: String = moved
        .iter()
        .map(|(name, path)| format!("Environment={name}={}\n", path.display()))
        .collect();
    let writable: Vec<String> = moved
        .iter()
        .map(|(_, path)| format!("-{}", path.display()))
        .collect();
    text.replace(
        "StandardInput=null\n",
        &format!(
            "StandardInput=null\n{environment}ReadWritePaths={}\n",
            writable.join(" ")
        ),
    )
}

/// The unit says where its manual is.
fn documented(unit: &str) -> String {
    let mut lines: Vec<&str> = unit.lines().collect();
    let description = lines
        .iter()
        .position(|line| line.starts_with("Description="));
    if let Some(at) = description {
        lines.insert(at + 1, "Documentation=man:guardctl(1)");
    }
    lines.join("\n") + "\n"
}

/// The rule for a program and folders that are not the packaged ones.
fn rule_text(program: &Path, layout: &Layout) -> String {
    let moved: String = moved_folders(layout)
        .iter()
        .map(|(name, path)| format!("{name}={} ", path.display()))
        .collect();
    let call = if moved.is_empty() {
        program.display().to_string()
    } else {
        format!("/usr/bin/env {moved}{}", program.display())
    };
    RULE.text
        .replace(&format!("\"{PACKAGED} "), &format!("\"{call} "))
}

fn start_units() -> Result<(), Failure> {
    reload_udev();
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "guard-load.service"])?;
    systemctl(&["enable", "--now", "guard.service"])
}

/// udev finds new rules by itself, some seconds later; where it does not run there is nobody to tell.
fn reload_udev() {
    Command::new("udevadm")
        .args(["control", "--reload"])
        .output()
        .map(drop)
        .unwrap_or_default();
}

fn moved_folders(layout: &Layout) -> Vec<(&'static str, &Path)> {
    let folders = [
        ("GUARD_ETC", &layout.etc, "/etc/guard"),
        ("GUARD_STATE", &layout.state, "/var/lib/guard"),
        ("GUARD_RUN", &layout.run, "/run/guard"),
        ("GUARD_BPFFS", &layout.bpffs, "/sys/fs/bpf/guard"),
    ];
    folders
        .into_iter()
        .filter(|(_, path, usual)| path.as_path() != Path::new(usual))
        .map(|(name, path, _)| (name, path.as_path()))
        .collect()
}

fn systemctl(words: &[&str]) -> Result<(), Failure> {
    let line = format!("systemctl {}", words.join(" "));
    let failed = |why: String| Failure::new(Exit::Failed, format!("`{line}`: {why}"));
    let output = Command::new("systemctl")
        .args(words)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.trim().to_owned())
        .help("`systemctl status guard` and `journalctl -u guard` say more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Layout {
        Layout {
            etc: "/etc/guard".into(),
            state: "/var/lib/guard".into(),
            run: "/run/guard".into(),
            bpffs: "/sys/fs/bpf/guard".into(),
            units: DEFAULT_UNITS.into(),
            version: guard_common::abi::ABI_VERSION,
        }
    }

    #[test]
    fn a_unit_starts_the_program_that_wrote_it() {
        let is_service = |unit: &&Unit| unit.name.ends_with(".service");
        for unit in UNITS.iter().filter(is_service) {
            assert_eq!(unit.text.matches(PACKAGED).count(), 1, "{}", unit.name);
            assert_eq!(text(unit, Path::new(PACKAGED), &usual()), unit.text);
            let own = text(unit, Path::new("/usr/local/sbin/guardctl"), &usual());
            assert!(
                own.contains("\nExecStart=/usr/local/sbin/guardctl "),
                "{own}"
            );
        }
    }

    #[test]
    fn a_unit_names_its_manual_and_is_else_the_same() {
        for unit in &UNITS {
            let text = documented(unit.text);
            let line = "\nDocumentation=man:guardctl(1)\n";
            assert_eq!(text.matches(line).count(), 1, "{text}");
            assert_eq!(text.replace(line, "\n"), unit.text);
        }
    }

    #[test]
    fn the_rule_calls_the_program_that_wrote_it_with_its_folders() {
        assert_eq!(rule_text(Path::new(PACKAGED), &usual()), RULE.text);
        let mut layout = usual();
        layout.state = "/srv/guard".into();

        let text = rule_text(Path::new("/opt/guardctl"), &layout);

        let call = "\"/usr/bin/env GUARD_STATE=/srv/guard /opt/guardctl attach $env{IFINDEX}\"";
        assert_eq!(text.matches(call).count(), 2, "{text}");
        assert!(!text.contains(PACKAGED), "{text}");
    }

    #[test]
    fn moved_folders_go_with_it() {
        let mut layout = usual();
        layout.state = "/srv/guard".into();
        for unit in &UNITS[..2] {
            let text = text(unit, Path::new(PACKAGED), &layout);
            assert!(
                text.contains("\nEnvironment=GUARD_STATE=/srv/guard\n"),
                "{text}"
            );
            assert!(text.contains("\nReadWritePaths=-/srv/guard\n"), "{text}");
            assert!(!text.contains("GUARD_ETC"), "{text}");
        }
        layout.run = "/srv/run".into();
        let socket = text(&UNITS[2], Path::new(PACKAGED), &layout);
        assert!(
            socket.contains("\nListenStream=/srv/run/names.sock\n"),
            "{socket}"
        );
    }
}
