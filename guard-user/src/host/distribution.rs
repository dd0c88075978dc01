//! How a setting of an interface is made to stay on this distribution.

use std::{fs, path::Path};

/// What configures the network here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkTool {
    /// Ubuntu's files in `/etc/netplan`.
    Netplan,
    /// Debian's `/etc/network/interfaces`.
    Ifupdown,
    /// NetworkManager.
    NetworkManager,
    /// systemd-networkd by itself.
    Networkd,
    /// None of them.
    Unknown,
}

impl NetworkTool {
    /// That of the host whose files are below `root`; the one that writes for another comes first.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let has = |folder: &str, end: &str| {
            let entries = fs::read_dir(root.join(folder))
                .into_iter()
                .flatten()
                .flatten();
            let names = entries.map(|entry| entry.file_name());
            names
                .into_iter()
                .any(|name| name.to_string_lossy().ends_with(end))
        };
        let configures = |path: &str| {
            let text = fs::read_to_string(root.join(path)).unwrap_or_default();
            text.lines().any(|line| {
                let line = line.trim();
                line.starts_with("iface ") && !line.starts_with("iface lo ")
            })
        };
        if has("etc/netplan", ".yaml") {
            Self::Netplan
        } else if configures("etc/network/interfaces") || has("etc/network/interfaces.d", "") {
            Self::Ifupdown
        } else if has("etc/NetworkManager/system-connections", ".nmconnection") {
            Self::NetworkManager
        } else if has("etc/systemd/network", ".network") {
            Self::Networkd
        } else {
            Self::Unknown
        }
    }

    /// What makes this MTU stay.
    #[must_use]
    pub fn keep_mtu(self, interface: &str, mtu: u32) -> String {
        match self {
            Self::Netplan => {
                format!("`mtu: {mtu}` below {interface} in /etc/netplan, then `netplan apply`")
            }
            Self::Ifupdown => {
                format!("`mtu {mtu}` below `iface {interface}` in /etc/network/interfaces")
            }
            Self::NetworkManager => {
                format!("`nmcli connection modify {interface} 802-3-ethernet.mtu {mtu}`")
            }
            Self::Networkd => format!(
                "`[Link]` with `MTUBytes={mtu}` in the file for {interface} in /etc/systemd/network"
            ),
            Self::Unknown => "the configuration of your network".to_owned(),
        }
    }

    /// What makes a command about an interface run at every boot.
    #[must_use]
    pub fn keep_command(self, interface: &str, command: &str) -> String {
        match self {
            Self::Ifupdown => {
                format!("`pre-up {command}` below `iface {interface}` in /etc/network/interfaces")
            }
            Self::NetworkManager => format!(
                "`{command}` in an executable file in /etc/NetworkManager/dispatcher.d/pre-up.d"
            ),
            Self::Netplan | Self::Networkd | Self::Unknown => {
                format!(
                    "a file /etc/systemd/network/50-{interface}.link with these offloads off (man systemd.link)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn the_tool_that_configures_the_network_is_known_by_its_files() {
        let folder = Folder::new();
        let tool = || NetworkTool::of(folder.path());
        assert_eq!(tool(), NetworkTool::Unknown);
        folder.write(
            "etc/network/interfaces",
            "auto lo\niface lo inet loopback\n",
        );
        assert_eq!(tool(), NetworkTool::Unknown);
        folder.write("etc/systemd/network/eth0.network", "[Match]\nName=eth0\n");
        assert_eq!(tool(), NetworkTool::Networkd);
        folder.write(
            "etc/network/interfaces",
            "iface lo inet loopback\niface eth0 inet dhcp\n",
        );
        assert_eq!(tool(), NetworkTool::Ifupdown);
        folder.write("etc/netplan/50-cloud-init.yaml", "network:\n");
        assert_eq!(tool(), NetworkTool::Netplan);
        assert!(tool().keep_mtu("eth0", 1500).contains("/etc/netplan"));
    }
}
