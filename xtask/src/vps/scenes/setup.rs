//! `setup` by a real ssh: nobody confirms, and the server is as it was; somebody does, and it stays.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use super::boot;
use crate::{
    sh,
    vps::{
        debian::{CLOSED, NIC},
        guest::Guest,
        network::{GUEST, Network},
    },
};

/// Where the policy waits meanwhile.
const KEPT: &str = "/root/kept.toml";

pub(super) fn setup(guest: &mut Guest<'_>) -> Result<()> {
    let login = Login::allowed(guest)?;
    guest.must(&format!(
        "guardctl disable && mv /etc/guard/guard.toml {KEPT}"
    ))?;
    guest.until_network("the closed port answers without guard", |network| {
        network.answers(CLOSED)
    })?;
    // Its exit code says that nothing is wrong; notes are no fault.
    let examined = guest.must("guardctl doctor")?;
    let card = format!("{NIC} (virtio_net, ");
    for line in ["takes the programs", &card, "answers"] {
        if !examined.contains(line) {
            bail!("doctor does not say {line:?}:\n{examined}");
        }
    }

    let said = login.run(&guest.network, "guardctl setup --yes 2>&1")?;
    if !said.contains("PENDING") || !said.contains("let everybody in to 22/tcp") {
        bail!("setup says:\n{said}");
    }
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection behind setup");
    }
    // Nobody logs in again.
    guest.until_network("what nobody confirmed is undone", |network| {
        network.answers(CLOSED)
    })?;
    guest.must("guardctl status; [ $? = 3 ] && test ! -e /etc/guard/guard.toml")?;

    login.run(&guest.network, "guardctl setup --yes 2>&1")?;
    login.run(&guest.network, "guardctl confirm 2>&1")?;
    guest.must("guardctl status && grep -q 'Proposed by' /etc/guard/guard.toml")?;
    let listed = guest.must("guardctl verify; guardctl doctor")?;
    if !listed.contains("guarded, native mode") {
        bail!("verify and doctor say:\n{listed}");
    }
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection");
    }
    guest.must(&format!(
        "mv {KEPT} /etc/guard/guard.toml && guardctl reload --no-confirm"
    ))?;
    guest.answers_before = guest.probe.answers();
    boot::is_whole(guest)
}

/// How the peer logs in.
struct Login {
    key: PathBuf,
}

impl Login {
    /// With a key that the guest knows from here on.
    fn allowed(guest: &mut Guest<'_>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("guard-vps-key-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let key = folder.join("key");
        let mut keygen = sh::command("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f"]);
        sh::output(keygen.arg(&key))?;
        let public = fs::read_to_string(folder.join("key.pub"))?;
        guest.must(&format!(
            "mkdir -p -m 700 /root/.ssh && echo '{}' >>/root/.ssh/authorized_keys",
            public.trim()
        ))?;
        Ok(Self { key })
    }

    /// Runs a command by a session of its own, which must succeed.
    fn run(&self, network: &Network, command: &str) -> Result<String> {
        let mut ssh = network.on_peer("ssh", ["-F", "none", "-i"]);
        ssh.arg(&self.key);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "ConnectTimeout=60",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("root@{GUEST}")).arg(command);
        let output = ssh.output().context("cannot start ssh")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("`{command}` by ssh: {}\n{said}{why}", output.status);
        }
        Ok(said)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Some(folder) = self.key.parent() {
            let _removed = fs::remove_dir_all(folder);
        }
    }
}
