//! The network around the guest: a switch with DHCP and a peer beside it, in namespaces of their
//! own. Nothing of it touches the machine's own network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::sh;

/// The MAC address of the guest's NIC.
pub(super) const MAC: &str = "52:54:00:00:00:10";
/// Address that DHCP gives to the guest.
pub(super) const GUEST: &str = "198.51.100.10";
/// Address of the peer.
pub(super) const PEER: &str = "198.51.100.20";
/// Address of the switch, which is where the guest's default route goes.
pub(super) const ROUTER: &str = "198.51.100.1";

/// The network that the router advertises once it does.
pub(super) const PREFIX: &str = "2001:db8:7:";
/// What the guest's NIC makes of it, by its MAC address.
pub(super) const GUEST_BY_ROUTER: &str = "2001:db8:7::5054:ff:fe00:10";
/// Address of the router there.
pub(super) const ROUTER_V6: &str = "2001:db8:7::1";
/// How long an advertised router may be used.
pub(super) const ROUTER_LIFETIME: Duration = Duration::from_secs(30);

/// Namespaces and the DHCP server; gone when dropped.
pub(super) struct Network {
    switch: String,
    peer: String,
    run: PathBuf,
    dhcp: Option<Child>,
}

impl Network {
    /// Makes it.
    pub(super) fn lay(run: &Path, queues: u32) -> Result<Self> {
        let id = std::process::id();
        let mut network = Self {
            switch: format!("guard-vps-{id}"),
            peer: format!("guard-vps-peer-{id}"),
            run: run.to_owned(),
            dhcp: None,
        };
        for namespace in [&network.switch, &network.peer] {
            ip(&["netns", "add", namespace])?;
        }
        let (switch, peer) = (network.switch.clone(), network.peer.clone());
        let tap = network.tap();
        let one: &[&str] = &["-n", &switch, "tuntap", "add", "dev", tap, "mode", "tap"];
        let many = &[one, &["multi_queue"]].concat();
        let steps: &[&[&str]] = &[
            &["-n", &switch, "link", "set", "lo", "up"],
            &[
                "-n",
                &switch,
                "link",
                "add",
                "br0",
                "type",
                "bridge",
                "forward_delay",
                "0",
            ],
            &[
                "-n",
                &switch,
                "address",
                "add",
                &format!("{ROUTER}/24"),
                "dev",
                "br0",
            ],
            &["-n", &switch, "link", "set", "br0", "up"],
            if queues > 1 { many } else { one },
            &["-n", &switch, "link", "set", tap, "master", "br0", "up"],
            &[
                "-n", &switch, "link", "add", "peer", "type", "veth", "peer", "name", "eth0",
                "netns", &peer,
            ],
            &["-n", &switch, "link", "set", "peer", "master", "br0", "up"],
            &["-n", &peer, "link", "set", "lo", "up"],
            &[
                "-n",
                &peer,
                "address",
                "add",
                &format!("{PEER}/24"),
                "dev",
                "eth0",
            ],
            &["-n", &peer, "link", "set", "eth0", "up"],
            // So that it can knock at a host that does not answer to ARP yet.
            &[
                "-n",
                &peer,
                "neighbour",
                "add",
                GUEST,
                "lladdr",
                MAC,
                "dev",
                "eth0",
                "nud",
                "permanent",
            ],
        ];
        for step in steps {
            ip(step)?;
        }
        // For a guest that knows no neighbours but its gateway.
        let mut forward = exec(&switch, "sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
        sh::output(&mut forward)?;
        // XDP reads the checksum that the wire carries.
        for (namespace, device) in [(&switch, "peer"), (&peer, "eth0")] {
            let mut ethtool = exec(namespace, "ethtool", ["-K", device, "tx", "off"]);
            sh::output(&mut ethtool)?;
        }
        network.serve_addresses(&[])?;
        Ok(network)
    }

    /// Starts the DHCP server, in the place of the one that runs.
    fn serve_addresses(&mut self, more: &[&str]) -> Result<()> {
        if let Some(mut dhcp) = self.dhcp.take() {
            dhcp.kill()?;
            dhcp.wait()?;
        }
        let mut dnsmasq = exec(
            &self.switch,
            "dnsmasq",
            [
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--port=0",
                "--interface=br0",
                "--bind-interfaces",
                "--no-ping",
                "--user=root",
                "--pid-file=",
            ],
        );
        dnsmasq
            .arg(format!("--dhcp-range={GUEST},{GUEST},2m"))
            .arg(format!("--dhcp-host={MAC},{GUEST}"))
            .arg(format!("--dhcp-option=3,{ROUTER}"))
            .arg(format!(
                "--dhcp-leasefile={}",
                self.run.join("leases").display()
            ))
            .arg(format!("--log-facility={}", self.log().display()))
            .args(more);
        self.dhcp = Some(dnsmasq.spawn().context("cannot start dnsmasq")?);
        Ok(())
    }

    /// From here on leases are to be renewed every ten seconds, and the switch advertises itself as a router.
    pub(super) fn renew_often(&mut self) -> Result<()> {
        let own = format!("{ROUTER_V6}/64");
        self.reach_by_v6(&own)?;
        let peer = format!("{PREFIX}:20/64");
        ip(&[
            "-n", &self.peer, "address", "replace", &peer, "dev", "eth0", "nodad",
        ])?;
        let advertised = format!("--dhcp-range={PREFIX}:,ra-only,64,2m");
        let often = format!("--ra-param=br0,5,{}", ROUTER_LIFETIME.as_secs());
        self.serve_addresses(&[
            // T1 and T2, also to who does not ask for them.
            "--dhcp-option-force=58,10",
            "--dhcp-option-force=59,90",
            "--enable-ra",
            &advertised,
            &often,
        ])
    }

    /// Gives the switch another address.
    pub(super) fn reach_by_v6(&self, address: &str) -> Result<()> {
        ip(&[
            "-n",
            &self.switch,
            "address",
            "replace",
            address,
            "dev",
            "br0",
            "nodad",
        ])
    }

    /// Leases that were given or renewed until now.
    pub(super) fn leases_given(&self) -> Result<usize> {
        let log = fs::read_to_string(self.log())?;
        Ok(log.lines().filter(|line| line.contains("DHCPACK")).count())
    }

    fn log(&self) -> PathBuf {
        self.run.join("dnsmasq.log")
    }

    /// Name of the guest's cable.
    pub(super) fn tap(&self) -> &'static str {
        "tap0"
    }

    /// A program beside the switch.
    pub(super) fn inside<'a>(
        &'a self,
        program: &'a str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        exec(&self.switch, program, args)
    }

    /// A program on the peer.
    pub(super) fn on_peer<'a>(
        &'a self,
        program: &'a str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        exec(&self.peer, program, args)
    }

    /// Does the guest's TCP port answer the peer? A server that speaks first is listened to.
    pub(super) fn answers(&self, port: u16) -> Result<bool> {
        self.answers_at(GUEST, port)
    }

    /// The same at another of its addresses.
    pub(super) fn answers_at(&self, address: &str, port: u16) -> Result<bool> {
        let connect = format!("exec 3<>/dev/tcp/{address}/{port}");
        let mut bash = self.on_peer("timeout", ["2", "bash", "-c", &connect]);
        let status = bash.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        Ok(status.success())
    }

    /// Sets the largest packet of everything between peer and guest.
    pub(super) fn set_mtu(&self, mtu: u32) -> Result<()> {
        let mtu = mtu.to_string();
        for (namespace, device) in [
            (&self.switch, self.tap()),
            (&self.switch, "peer"),
            (&self.peer, "eth0"),
            (&self.switch, "br0"),
        ] {
            ip(&["-n", namespace, "link", "set", device, "mtu", &mtu])?;
        }
        Ok(())
    }

    /// For people.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(dhcp) = &mut self.dhcp {
            let _killed = dhcp.kill();
            let _reaped = dhcp.wait();
        }
        for namespace in [&self.switch, &self.peer] {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("xtask: {error:#}");
            }
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    sh::output(&mut sh::command("ip", args.iter().copied())).map(drop)
}

/// `ip netns exec` becomes the program, so its process number is the program's.
fn exec<'a>(
    namespace: &'a str,
    program: &'a str,
    args: impl IntoIterator<Item = &'a str>,
) -> Command {
    sh::command(
        "ip",
        ["netns", "exec", namespace, program]
            .into_iter()
            .chain(args),
    )
}
