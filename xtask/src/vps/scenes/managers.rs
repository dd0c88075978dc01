//! Other ways in which a NIC comes and is configured at boot.

use anyhow::Result;

use super::boot;
use crate::vps::{
    debian::NIC,
    guest::Guest,
    network::{GUEST, MAC, ROUTER, ROUTER_V6},
};

/// An address of IPv6 with no network around it.
const ALONE: &str = "2001:db8:7::10";

/// What the scene of systemd-networkd may have left, undone: ifupdown configures the NIC.
pub(super) const BY_IFUPDOWN: &str = "systemctl disable systemd-networkd.service
systemctl unmask networking.service
rm -f /etc/systemd/network/50-*.network";

/// As Debian's installer has it.
pub(super) fn dhcp_by_ifupdown() -> String {
    format!(
        "printf 'auto lo\\niface lo inet loopback\\nallow-hotplug {NIC}\\niface {NIC} inet dhcp\\n' \
         >/etc/network/interfaces"
    )
}

/// systemd-networkd configures the NIC.
pub(super) fn by_networkd() -> String {
    format!(
        "printf '[Match]\\nName={NIC}\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/50-{NIC}.network
systemctl mask networking.service
systemctl enable systemd-networkd.service
rm -f /etc/network/interfaces"
    )
}

/// systemd-networkd asks for an address.
pub(super) fn networkd(guest: &mut Guest<'_>) -> Result<()> {
    after_reboot(guest, &by_networkd(), "systemd-networkd with DHCP")
}

/// One address, and a gateway that is on no network of ours, as some hosters have it; fe80::1 for IPv6.
pub(super) fn static_address(guest: &mut Guest<'_>) -> Result<()> {
    for address in ["fe80::1/64".to_owned(), format!("{ROUTER_V6}/64")] {
        guest.network.reach_by_v6(&address)?;
    }
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
iface {NIC} inet6 static
    address {ALONE}/128
    gateway fe80::1
end"
        ),
        "a static /32",
    )?;
    guest
        .must(&format!(
            "set -e
ip -4 address show dev {NIC} | grep -w {GUEST}/32
ip -6 address show dev {NIC} | grep -w {ALONE}/128
ip -6 route show default | grep 'via fe80::1'
ping -c 1 -W 10 {ROUTER}
# Neighbours are asked for anew, through the policy.
ip -6 neighbour flush dev {NIC}
ping -6 -c 1 -W 10 -I {ALONE} {ROUTER_V6}"
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
