//! A real Docker, which publishes a port by netfilter's rules.

use anyhow::{Result, bail};

use super::boot;
use crate::vps::{debian::CLOSED, guest::Guest, network::PEER};

/// The port of the host that a container's port 80 is published as.
const PUBLISHED: u16 = 8080;

/// A web server in a container, of what the server has: no registry is asked.
const RUN: &str = "set -e
systemctl start docker
tar -C / -c bin/busybox | docker import - box
docker run --detach --restart always --name web --publish 8080:80 box /bin/busybox httpd -f -p 80";

/// What a container publishes is closed until a rule opens it, also after Docker or the server begins anew.
pub(super) fn docker(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(RUN)?;
    is_closed(guest, "when it is published")?;
    guest.until("guardctl --yes disable")?;
    guest.until_network("the published port answers without guard", |network| {
        network.answers(PUBLISHED)
    })?;
    guest.must("guardctl --yes enable")?;
    guest.answers_before = guest.probe.answers();
    is_closed(guest, "when guard is enabled")?;
    guest.must(&format!("guardctl audit | grep -w {PUBLISHED}"))?;

    guest.until(&format!("guardctl --yes allow {PUBLISHED}/tcp"))?;
    guest.until_network("the published port answers when it is allowed", |network| {
        network.answers(PUBLISHED)
    })?;
    guest.must(&format!(
        "docker exec web /bin/busybox ping -c 1 -W 10 {PEER}"
    ))?;
    guest.until(&format!("guardctl --yes delete allow {PUBLISHED}/tcp"))?;
    is_closed(guest, "when its rule is deleted")?;

    guest.must("systemctl restart docker")?;
    guest.until("docker ps | grep -w web")?;
    is_closed(guest, "when Docker has begun anew")?;
    guest.reboot()?;
    guest.until("docker ps | grep -w web")?;
    is_closed(guest, "after a reboot")?;
    guest.must(&format!(
        "docker exec web /bin/busybox ping -c 1 -W 10 {PEER}"
    ))?;
    guest.expect_silence("beside Docker")?;
    boot::is_whole(guest)
}

fn is_closed(guest: &mut Guest<'_>, when: &str) -> Result<()> {
    // A server in the container that did not answer would look closed.
    guest.until(&format!(
        "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{PUBLISHED}'"
    ))?;
    for port in [PUBLISHED, CLOSED] {
        if guest.network.answers(port)? {
            bail!("port {port} accepts a connection {when}");
        }
    }
    Ok(())
}
