//! Other ways in which a NIC comes and is configured at boot.

use anyhow::Result;

use super::boot;
use crate::vps::{
    debian::NIC,
    guest::Guest,
    network::{GUEST, MAC, ROUTER},
};

/// What the scene of systemd-networkd may have left, undone: ifupdown configures the NIC.
const BY_IFUPDOWN: &str = "systemctl disable systemd-networkd.service
systemctl unmask networking.service
rm -f /etc/systemd/network/50-*.network";

/// systemd-networkd asks for an address.
pub(super) fn networkd(guest: &mut Guest<'_>) -> Result<()> {
    after_reboot(
        guest,
        &format!(
            "printf '[Match]\\nName={NIC}\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/50-{NIC}.network
systemctl mask networking.service
systemctl enable systemd-networkd.service
rm /etc/network/interfaces"
        ),
        "systemd-networkd with DHCP",
    )
}

/// One address, and a gateway that is on no network of ours, as some hosters have it.
pub(super) fn static_address(guest: &mut Guest<'_>) -> Result<()> {
    after_reboot(
        guest,
        &format!(
            "{BY_IFUPDOWN}
cat >/etc/network/interfaces <<end
auto lo
iface lo inet loopback
auto {NIC}
iface {NIC} inet static
    address {GUEST}/32
    up ip route add {ROUTER} dev {NIC}
    up ip route add default via {ROUTER} dev {NIC} onlink
end"
        ),
        "a static /32",
    )?;
    guest
        .must(&format!(
            "ip -4 address show dev {NIC} | grep -w {GUEST}/32"
        ))
        .map(drop)
}

/// The NIC that guard knows as one name has another after the next boot, given by udev while guard loads.
pub(super) fn renamed_at_boot(guest: &mut Guest<'_>) -> Result<()> {
    after_reboot(
        guest,
        &format!(
            "{BY_IFUPDOWN}
printf '[Match]\\nPermanentMACAddress={MAC}\\n[Link]\\nName=wan0\\n' >/etc/systemd/network/10-wan.link
cat >/etc/network/interfaces <<end
auto lo
iface lo inet loopback
auto wan0
iface wan0 inet dhcp
end"
        ),
        "a NIC with another name than before",
    )?;
    guest.must("guardctl status | grep -w wan0").map(drop)
}

/// The driver comes when guard has been loaded long ago.
pub(super) fn late_driver(guest: &mut Guest<'_>) -> Result<()> {
    guest.must("systemctl is-active late-nic.service")?;
    boot::cold(guest)
}

fn after_reboot(guest: &mut Guest<'_>, change: &str, what: &str) -> Result<()> {
    guest.must(&format!("set -e\n{change}\nsync"))?;
    guest.reboot()?;
    guest.expect_silence(&format!("a boot with {what}"))?;
    boot::is_whole(guest)
}
