//! NICs that come, go and change their names.

use anyhow::Result;

use crate::vps::{
    debian::NIC,
    guest::Guest,
    network::{GUEST, ROUTER},
};

/// The driver lets go of the NIC and takes it again: for the kernel it is a new one.
pub(super) fn anew(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!(
        "set -e
device=$(basename $(readlink -f /sys/class/net/{NIC}/device))
cd /sys/bus/virtio/drivers/virtio_net
echo $device >unbind
while [ -e /sys/class/net/{NIC} ]; do sleep 0.1; done
echo $device >bind"
    ))?;
    guest.until(&format!("ip -4 address show dev {NIC} | grep -q inet"))?;
    guest.until_network("SSH answers on the new NIC", |network| network.answers(22))?;
    guest.expect_silence("from the new NIC until it is configured")?;
    guest.until("guardctl status >/dev/null")?;
    Ok(())
}

/// The NIC gets another name under a running guard, and its old one back.
pub(super) fn renamed(guest: &mut Guest<'_>) -> Result<()> {
    // Debian's scripts would take the address away from what is not called as they know it.
    guest.must(&format!(
        "systemctl stop ifup@{NIC}; pkill dhclient || true"
    ))?;
    for (from, to) in [(NIC, "wan0"), ("wan0", NIC)] {
        guest.must(&format!(
            "set -e
ip link set {from} down
# udev keeps a name of its own making as another one.
ip link property del dev {from} altname {to} 2>/dev/null || true
ip link set {from} name {to}
ip link set {to} up
ip address replace {GUEST}/24 dev {to}
ip route replace default via {ROUTER} dev {to}"
        ))?;
        guest.until_network("SSH answers on the renamed NIC", |network| {
            network.answers(22)
        })?;
        guest.until(&format!("guardctl status | grep -qw {to}"))?;
        guest.until("guardctl status >/dev/null")?;
        guest.expect_silence(&format!("while {from} was renamed to {to}"))?;
    }
    Ok(())
}
