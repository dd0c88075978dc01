//! Addresses that last only as long as they are renewed, behind a policy that denies.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::managers::{BY_IFUPDOWN, by_networkd, dhcp_by_ifupdown};
use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
    network::{GUEST, GUEST_BY_ROUTER, PREFIX, ROUTER_LIFETIME},
};

/// Renewals of the lease that are waited for.
const RENEWALS: usize = 4;

/// DHCP leases are renewed and advertisements of a router are heard, by Debian's dhclient and by systemd-networkd.
pub(super) fn dhcp(guest: &mut Guest<'_>) -> Result<()> {
    guest.network.renew_often()?;
    for (manager, change) in [
        ("ifupdown", format!("{BY_IFUPDOWN}\n{}", dhcp_by_ifupdown())),
        ("systemd-networkd", by_networkd()),
    ] {
        guest.must(&format!("set -e\n{change}\nsync"))?;
        guest.reboot()?;
        let renewals = renewed(guest)?;
        guest.must(&format!(
            "ip -4 address show dev {NIC} | grep -w {GUEST} && ip -6 address show dev {NIC} | grep {PREFIX}
ip -6 route show default | grep 'via fe80:'"
        ))?;
        for address in [GUEST, GUEST_BY_ROUTER] {
            if !guest.network.answers_at(address, 22)? {
                bail!("{address} does not answer with SSH");
            }
            if guest.network.answers_at(address, CLOSED)? {
                bail!("the closed port {CLOSED} of {address} accepts a connection");
            }
        }
        println!("  {manager}: {renewals} renewals of the lease, and the router's advertisements");
        guest.expect_silence("while addresses were renewed")?;
    }
    Ok(())
}

/// Waits until the lease has been renewed often enough, and until the first advertisement has ended long ago.
fn renewed(guest: &mut Guest<'_>) -> Result<usize> {
    let (begun, before) = (Instant::now(), guest.network.leases_given()?);
    let deadline = begun + Duration::from_secs(300);
    loop {
        let renewals = guest.network.leases_given()? - before;
        if renewals >= RENEWALS && begun.elapsed() > ROUTER_LIFETIME * 2 {
            return Ok(renewals);
        }
        if Instant::now() > deadline {
            bail!("the lease was renewed {renewals} times in 300 s");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
