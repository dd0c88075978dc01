//! Where guard keeps its things. Every folder can be moved by the environment, so that several
//! instances can live in several network namespaces.

use std::{
    env,
    path::{Path, PathBuf},
};

use guard_common::abi::ABI_VERSION;

/// Where systemd looks for the units of the administrator.
pub const DEFAULT_UNITS: &str = "/etc/systemd/system";

/// The folders of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Policy: `guard.toml`, `guard.d/` (`GUARD_ETC`, /etc/guard).
    pub etc: PathBuf,
    /// What survives a reboot (`GUARD_STATE`, /var/lib/guard).
    pub state: PathBuf,
    /// Lock and sockets (`GUARD_RUN`, /run/guard).
    pub run: PathBuf,
    /// Pins of all versions (`GUARD_BPFFS`, /sys/fs/bpf/guard).
    pub bpffs: PathBuf,
    /// Where units of systemd are installed (`GUARD_UNITS`, /etc/systemd/system).
    pub units: PathBuf,
    /// Whose pins are meant: those of this version, but where another one's are taken off.
    pub version: u32,
}

impl Layout {
    /// From the environment, with the defaults.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |name: &str, default: &str| {
            env::var_os(name)
                .filter(|path| !path.is_empty())
                .map_or(default.into(), PathBuf::from)
        };
        Self {
            etc: folder("GUARD_ETC", "/etc/guard"),
            state: folder("GUARD_STATE", "/var/lib/guard"),
            run: folder("GUARD_RUN", "/run/guard"),
            bpffs: folder("GUARD_BPFFS", "/sys/fs/bpf/guard"),
            units: folder("GUARD_UNITS", DEFAULT_UNITS),
            version: ABI_VERSION,
        }
    }

    /// The same instance with the pins of another version.
    #[must_use]
    pub fn of_version(&self, version: u32) -> Self {
        Self {
            version,
            ..self.clone()
        }
    }

    /// Pins of one version.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.bpffs.join(pin_folder(self.version))
    }

    /// Pinned maps.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.pins().join("maps")
    }

    /// The pinned clock of the flow table.
    #[must_use]
    pub fn clock(&self) -> PathBuf {
        self.maps().join("clock")
    }

    /// The pinned program that answers SYNs with cookies; not there if the kernel cannot.
    #[must_use]
    pub fn answer(&self) -> PathBuf {
        self.maps().join("answer")
    }

    /// Pinned links, two per interface.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.pins().join("links")
    }

    /// What of the policy is in force, for listings.
    #[must_use]
    pub fn applied(&self) -> PathBuf {
        self.state.join("applied.json")
    }

    /// The change that is under way or waits for its confirmation.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state.join("pending.json")
    }

    /// When rules end.
    #[must_use]
    pub fn ends(&self) -> PathBuf {
        self.state.join("ends.json")
    }

    /// Policies that were in force, one file each.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.state.join("history")
    }

    /// Which devices the names of the policy mean.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.state.join("devices.json")
    }

    /// Why the policy could not be put in force, until it is or guard is off.
    #[must_use]
    pub fn load_failure(&self) -> PathBuf {
        self.run.join("load.failed")
    }

    /// Where rules of udev are installed: beside units that systemd does not read, udev reads none.
    #[must_use]
    pub fn udev_rules(&self) -> PathBuf {
        if self.units == Path::new(DEFAULT_UNITS) {
            "/etc/udev/rules.d".into()
        } else {
            self.units.clone()
        }
    }

    /// Exists from `enable` to `disable`: after a reboot, `load` puts the policy in force.
    #[must_use]
    pub fn enabled(&self) -> PathBuf {
        self.state.join("enabled")
    }

    /// What the names of hosts in the policy resolved to.
    #[must_use]
    pub fn host_names(&self) -> PathBuf {
        self.state.join("names.json")
    }

    /// Where a process listens that asks for the addresses of names (guard-names.socket).
    #[must_use]
    pub fn resolver(&self) -> PathBuf {
        self.run.join("names.sock")
    }

    /// The same for the names that jails never count.
    #[must_use]
    pub fn ignored_names(&self) -> PathBuf {
        self.state.join("ignored-names.json")
    }

    /// Texts of the policy files that were in force last.
    #[must_use]
    pub fn last_good(&self) -> PathBuf {
        self.state.join("last-good.json")
    }

    /// What is banned.
    #[must_use]
    pub fn bans(&self) -> PathBuf {
        self.state.join("bans.redb")
    }

    /// A copy of that, some minutes old at most.
    #[must_use]
    pub fn bans_copy(&self) -> PathBuf {
        self.state.join("bans.copy")
    }

    /// What is known of the feeds.
    #[must_use]
    pub fn feeds(&self) -> PathBuf {
        self.state.join("feeds.json")
    }

    /// How far the kernel's clock of bans was behind when all their ends were written.
    #[must_use]
    pub fn ban_clock(&self) -> PathBuf {
        self.run.join("bans.clock")
    }

    /// Locks of those who watch.
    #[must_use]
    pub fn watchers(&self) -> PathBuf {
        self.run.join("watchers")
    }

    /// What is known of the program on each interface, of this boot.
    #[must_use]
    pub fn attachments(&self) -> PathBuf {
        self.run.join("attachments.json")
    }

    /// The same for the next boot.
    #[must_use]
    pub fn last_attachments(&self) -> PathBuf {
        self.state.join("attachments.json")
    }

    /// Exists while the store of bans and the tables of the kernel may differ.
    #[must_use]
    pub fn unsettled_bans(&self) -> PathBuf {
        self.run.join("bans.unsettled")
    }

    /// Exists after the store of bans was lost while guard was on, until the host is restarted.
    #[must_use]
    pub fn unbacked_bans(&self) -> PathBuf {
        self.run.join("bans.unbacked")
    }

    /// Exists after a command lifted bans of jails, until the daemon has seen it.
    #[must_use]
    pub fn lifted_bans(&self) -> PathBuf {
        self.run.join("bans.lifted")
    }

    /// Exists when the policy was loaded from its copy at boot.
    #[must_use]
    pub fn fallback(&self) -> PathBuf {
        self.run.join("fallback")
    }

    /// What jails remember.
    #[must_use]
    pub fn jails(&self) -> PathBuf {
        self.state.join("jails.redb")
    }

    /// The counters at some moments, one file each.
    #[must_use]
    pub fn samples(&self) -> PathBuf {
        self.run.join("samples")
    }

    /// The counters at the last `stats --reset`.
    #[must_use]
    pub fn reset_sample(&self) -> PathBuf {
        self.run.join("stats-reset.json")
    }

    /// Ports with series of their own in the metrics.
    #[must_use]
    pub fn port_series(&self) -> PathBuf {
        self.run.join("metrics-ports.json")
    }

    /// What rules let in and dropped under the policies before.
    #[must_use]
    pub fn rule_hits(&self) -> PathBuf {
        self.run.join("rule-hits.json")
    }

    /// What this host has joined, and whom it believes.
    #[must_use]
    pub fn fleet(&self) -> PathBuf {
        self.etc.join("fleet.toml")
    }

    /// Members of the fleet of which nothing is taken.
    #[must_use]
    pub fn quarantined(&self) -> PathBuf {
        self.state.join("fleet-quarantine.json")
    }

    /// The policy of the fleet that was taken last.
    #[must_use]
    pub fn fleet_policy(&self) -> PathBuf {
        self.state.join("fleet-policy.json")
    }

    /// Written when a jail or an operator bans or lifts: guard-fleet looks at it.
    #[must_use]
    pub fn own_bans(&self) -> PathBuf {
        self.run.join("bans.own")
    }

    /// The daemon's socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.run.join("control")
    }

    /// Held by the daemon as long as it runs.
    #[must_use]
    pub fn daemon_lock(&self) -> PathBuf {
        self.run.join("daemon.lock")
    }

    /// Held by whoever reads feeds.
    #[must_use]
    pub fn feeds_lock(&self) -> PathBuf {
        self.run.join("feeds.lock")
    }

    /// Held by whoever changes something.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.run.join("lock")
    }
}

/// Name of the folder that holds the pins of an ABI version.
#[must_use]
pub fn pin_folder(version: u32) -> String {
    format!("v{version}")
}
