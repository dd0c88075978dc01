//! What else on this host lets packets in, keeps them out, or bans who sends them.

use std::{collections::BTreeSet, path::Path};

use procfs::process::all_processes;

use super::{Import, of_firewalld, of_ufw, ufw};
use crate::failure::Failure;

/// A program that firewalls, bans, or opens ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherFirewall {
    /// ufw, enabled.
    Ufw,
    /// firewalld, running.
    Firewalld,
    /// A ruleset of nftables that is loaded at boot.
    Nftables,
    /// Tables of iptables that are loaded at boot.
    Iptables,
    /// fail2ban, running.
    Fail2ban,
    /// CrowdSec's bouncer for firewalls, running.
    CrowdSec,
    /// Docker, running.
    Docker,
}

impl OtherFirewall {
    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Fail2ban => "fail2ban",
            Self::CrowdSec => "CrowdSec",
            Self::Docker => "Docker",
        }
    }

    /// What would become of its rules; `None` where they are not those of a host's firewall, or are written by hand.
    ///
    /// # Errors
    /// Exit 5 when a file of it is damaged.
    #[must_use]
    pub fn rules(self, root: &Path) -> Option<Result<Import, Failure>> {
        match self {
            Self::Ufw => Some(of_ufw(root)),
            Self::Firewalld => Some(of_firewalld(root)),
            Self::Nftables | Self::Iptables | Self::Fail2ban | Self::CrowdSec | Self::Docker => {
                None
            }
        }
    }

    /// Those of the host whose files are below `root`, and whose processes have these names.
    #[must_use]
    pub fn found(root: &Path, processes: &BTreeSet<String>) -> BTreeSet<Self> {
        let runs = |names: &[&str]| names.iter().any(|name| processes.contains(*name));
        let is_there = |path: &str| root.join(path).symlink_metadata().is_ok();
        // Where systemd looks for what is enabled.
        let is_enabled = |unit: &str| {
            let folders = [
                "sysinit.target.wants",
                "multi-user.target.wants",
                "basic.target.wants",
            ];
            let mut paths = folders
                .map(|folder| format!("etc/systemd/system/{folder}/{unit}"))
                .into_iter();
            paths.any(|path| is_there(&path))
        };
        [
            (Self::Ufw, ufw::is_on(root)),
            (Self::Firewalld, runs(&["firewalld"])),
            (Self::Nftables, is_enabled("nftables.service")),
            (
                Self::Iptables,
                is_there("etc/iptables/rules.v4") || is_enabled("iptables.service"),
            ),
            (Self::Fail2ban, runs(&["fail2ban-server"])),
            // Names of processes end after 15 bytes.
            (
                Self::CrowdSec,
                runs(&["crowdsec-firewall-bouncer", "crowdsec-firewa"]),
            ),
            (Self::Docker, runs(&["dockerd"])),
        ]
        .into_iter()
        .filter_map(|(what, is_found)| is_found.then_some(what))
        .collect()
    }
}

/// Names of the processes that can be seen.
#[must_use]
pub fn processes() -> BTreeSet<String> {
    let all = all_processes().into_iter().flatten().flatten();
    all.filter_map(|process| Some(process.stat().ok()?.comm))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn what_is_enabled_or_runs_is_found_and_what_is_only_installed_is_not() {
        let folder = Folder::new();
        folder.write("etc/ufw/ufw.conf", "# ENABLED=yes\nENABLED=no\n");
        folder.write("etc/nftables.conf", "flush ruleset\n");
        let found = |names: &[&str]| {
            let processes = names.iter().map(|name| (*name).to_owned()).collect();
            OtherFirewall::found(folder.path(), &processes)
        };
        assert!(found(&["sshd", "nginx"]).is_empty());

        folder.write("etc/ufw/ufw.conf", "ENABLED=yes\nLOGLEVEL=low\n");
        folder.write(
            "etc/systemd/system/sysinit.target.wants/nftables.service",
            "",
        );
        let all = found(&["dockerd", "fail2ban-server", "firewalld", "crowdsec-firewa"]);
        let names: Vec<&str> = all.into_iter().map(OtherFirewall::name).collect();
        let expected = [
            "ufw",
            "firewalld",
            "nftables",
            "fail2ban",
            "CrowdSec",
            "Docker",
        ];
        assert_eq!(names, expected);
    }
}
