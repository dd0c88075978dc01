//! A lab with one filter in force, and the accounts of what a flood does to it.

use std::{net::UdpSocket, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;

use super::{
    kind::{self, Family, Kind, Origin},
    target::{HTTP3, OPEN, Target},
};
use crate::{
    bench::{arena::own_receivers, cpus, filters::attach_bench},
    lab::{Flood, Instance, Namespace, Rate, TcpEcho, Topology, UdpEcho, Wire, finish},
    require,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// What is still under way when a flood has ended.
const SETTLED: Duration = Duration::from_millis(50);

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// guard, in the driver.
    Guard,
    /// nftables with connection tracking and the same rules.
    Nftables,
    /// The same with `net.netfilter.nf_conntrack_tcp_loose` = 0: no session begins in its middle.
    NftablesStrict,
    /// The yardstick: a program that drops everything.
    BareDrop,
}

/// A filter in force.
#[derive(Debug)]
enum Filter {
    Guard(Instance),
    Nftables(Subject),
    BareDrop { _object: Box<Ebpf> },
}

/// The services.
#[derive(Debug)]
struct Served {
    _tcp: TcpEcho,
    _udp: UdpEcho,
    _inside: Option<Namespace>,
}

/// A server with the network in front of it. What is declared first is dropped first.
#[derive(Debug)]
pub struct FloodedHost {
    filter: Filter,
    _router: Instance,
    _served: Option<Served>,
    lab: Topology,
    receivers: Vec<i32>,
    target: Target,
}

/// What a flood came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Frames that were sent; filled in at the end.
    pub sent: u64,
    /// Frames that the server's interface took; the others found its queue full.
    pub received: u64,
    /// Those of them that the filter let through.
    pub reached: u64,
    /// Frames that the server sent to the router.
    pub back: u64,
    /// CPU time of the threads that receive for the server's interface.
    pub cpu: Duration,
}

impl Subject {
    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Nftables => "nftables",
            Self::NftablesStrict => "nft strict",
            Self::BareDrop => "bare XDP_DROP",
        }
    }

    /// Programs that it needs.
    #[must_use]
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Guard | Self::BareDrop => &[],
            Self::Nftables | Self::NftablesStrict => &["nft"],
        }
    }
}

impl FloodedHost {
    /// Makes it, with services if the target is open.
    ///
    /// # Errors
    /// When the kernel or a tool refuses the filter, or an honest client gets no answer.
    ///
    /// # Panics
    /// When the kernel refuses a part of the lab.
    pub fn new(target: Target, subject: Subject) -> Result<Self> {
        Self::in_lab(Topology::new(), &["eth0"], target, subject)
    }

    /// The same, where honest clients come by a cable of their own.
    ///
    /// # Errors
    /// As [`FloodedHost::new`].
    ///
    /// # Panics
    /// As [`FloodedHost::new`].
    pub fn with_second_cable(target: Target, subject: Subject) -> Result<Self> {
        Self::in_lab(Topology::for_floods(), &["eth0", "eth1"], target, subject)
    }

    fn in_lab(
        lab: Topology,
        interfaces: &[&str],
        target: Target,
        subject: Subject,
    ) -> Result<Self> {
        lab.settle_neighbours();
        let receivers = own_receivers(&lab.srv, "eth0", cpus::receiver())?;
        own_receivers(&lab.wan, "srv", cpus::sender())?;
        let served = (target != Target::Closed).then(|| serve(&lab, target));
        // The other end of a veth pair takes what XDP sends back only if it runs an XDP program itself. This one
        // counts answers to forged sources and drops them.
        let ends = [" --iface srv", " --iface srv1"];
        let ends = ends[..interfaces.len()].concat();
        let router = Instance::new(&lab.wan);
        for line in [
            format!("allow from any to {}", lab.friend.v4),
            format!("allow from any to {}", lab.friend.v6),
            format!("enable --force --yes{ends}"),
        ] {
            drop(router.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
        }
        let filter = match subject {
            Subject::Guard => Filter::Guard(guard(&lab, interfaces, target)?),
            Subject::Nftables | Subject::NftablesStrict => {
                nftables(&lab, target)?;
                if subject == Subject::NftablesStrict {
                    lab.srv.sysctl("net/netfilter/nf_conntrack_tcp_loose", "0");
                }
                Filter::Nftables(subject)
            }
            Subject::BareDrop => Filter::BareDrop {
                _object: attach_bench(&lab.srv, "bench_drop")?,
            },
        };
        let flooded = Self {
            filter,
            _router: router,
            _served: served,
            lab,
            receivers,
            target,
        };
        if target != Target::Closed && subject != Subject::BareDrop {
            flooded.ask().with_context(|| {
                let (subject, target) = (subject.name(), target.name());
                format!("{subject}, {target}: an honest client gets no answer")
            })?;
        }
        Ok(flooded)
    }

    /// What it is that stands in the way.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self.filter {
            Filter::Guard(_) => Subject::Guard,
            Filter::Nftables(subject) => subject,
            Filter::BareDrop { .. } => Subject::BareDrop,
        }
    }

    /// Floods it for some time, as fast as one CPU sends.
    ///
    /// # Errors
    /// When nothing of it arrives.
    ///
    /// # Panics
    /// When the filter does not tell what it has counted.
    pub fn flood(&self, of: (Family, Kind, Origin), length: Duration) -> Result<Accounts> {
        self.forget();
        let before = self.accounts()?;
        let flood = self.begin(of, Rate::Unlimited);
        thread::sleep(length);
        let sent = flood.stop();
        thread::sleep(SETTLED);
        let counted = before.until(&self.accounts()?, sent);
        ensure!(
            counted.received > 0,
            "{}, {}: nothing of a flood arrived: {counted:?}",
            self.subject().name(),
            self.target.name()
        );
        Ok(counted)
    }

    /// Begins a flood that goes on until it is dropped, from this thread's CPU.
    ///
    /// # Panics
    /// When the kernel gives no socket for it.
    #[must_use]
    pub fn begin(&self, of: (Family, Kind, Origin), rate: Rate) -> Flood {
        let frames = kind::frames(&self.lab, of, self.target.port());
        let wire = Wire::open(&self.lab.wan, "srv");
        match of.2 {
            Origin::Random => Flood::start_fresh(wire, frames, rate),
            Origin::TenThousand | Origin::One => Flood::start(wire, frames, rate),
        }
    }

    /// The hosts.
    #[must_use]
    pub fn lab(&self) -> &Topology {
        &self.lab
    }

    /// An honest client: ports that are seen to answer are those that guard can judge.
    fn ask(&self) -> Result<()> {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            let took = self.lab.friend.time_tcp(to, OPEN);
            took.with_context(|| format!("{to} over TCP"))?;
            let answer = self.lab.friend.run(|| {
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                socket.send_to(b"hello", (to, OPEN))?;
                socket.recv(&mut [0; 16])
            });
            answer.with_context(|| format!("{to} over UDP"))?;
        }
        Ok(())
    }

    /// Empties the kernel's connection table, so that one flood does not meet what another left there.
    fn forget(&self) {
        if require::find("conntrack").is_some() {
            // Without such a table there is nothing to empty.
            let _emptied = finish(self.lab.srv.command("conntrack").arg("-F"), PATIENCE);
        }
    }

    fn accounts(&self) -> Result<Accounts> {
        let reached = match &self.filter {
            Filter::Guard(guard) => guard.counted().all("pass"),
            Filter::Nftables(_) => accepted(&self.lab.srv)?,
            Filter::BareDrop { .. } => 0,
        };
        Ok(Accounts {
            sent: 0,
            received: taken(&self.lab.srv, "eth0")?,
            reached,
            back: taken(&self.lab.wan, "srv")?,
            cpu: self.receivers.iter().map(|task| cpus::time_of(*task)).sum(),
        })
    }
}

impl Accounts {
    fn until(self, later: &Self, sent: u64) -> Self {
        Self {
            sent,
            received: later.received.saturating_sub(self.received),
            reached: later.reached.saturating_sub(self.reached),
            back: later.back.saturating_sub(self.back),
            cpu: later.cpu.saturating_sub(self.cpu),
        }
    }
}

/// Echo servers, of which that over TCP has downloads, too, on the CPU that receives.
fn serve(lab: &Topology, target: Target) -> Served {
    thread::scope(|scope| {
        let start = scope.spawn(|| {
            cpus::pin(cpus::receiver());
            let inside = (target == Target::Published).then(|| lab.lead_elsewhere(OPEN));
            let (host, port) = match &inside {
                Some(inside) => (inside, 80),
                None => (&lab.srv.namespace, OPEN),
            };
            Served {
                _tcp: TcpEcho::with_downloads(host, port),
                _udp: UdpEcho::start(host, port),
                _inside: inside,
            }
        });
        start.join().expect("echo servers")
    })
}

fn guard(lab: &Topology, interfaces: &[&str], target: Target) -> Result<Instance> {
    let guard = Instance::new(&lab.srv);
    let rules = [
        format!("allow {OPEN}/tcp"),
        format!("allow {OPEN}/udp"),
        format!("allow {HTTP3}/udp"),
    ];
    let ping = (target != Target::Closed).then(|| "allow ping".to_owned());
    let interfaces = interfaces.iter().map(|name| format!(" --iface {name}"));
    let enable = format!("enable --force{}", interfaces.collect::<String>());
    for line in rules.into_iter().chain(ping).chain([enable]) {
        drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
    }
    let status = guard.guardctl(&["status", "--json"]).ok().json();
    let mode = &status["interfaces"][0]["mode"];
    ensure!(mode == "native", "guard runs in {mode} mode and not native");
    Ok(guard)
}

/// The same rules; what they let through is counted.
fn nftables(lab: &Topology, target: Target) -> Result<()> {
    let ping = if target == Target::Closed {
        ""
    } else {
        "icmp type echo-request counter name reached accept
    icmpv6 type echo-request counter name reached accept"
    };
    let rules = format!(
        "table inet peer {{
  counter reached {{ }}
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state invalid drop
    ct state established,related counter name reached accept
    iif lo accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }} accept
    tcp dport {OPEN} counter name reached accept
    udp dport {{ {OPEN}, {HTTP3} }} counter name reached accept
    {ping}
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    iifname != {{ eth0, eth1 }} accept
    ct state invalid drop
    ct state established,related counter name reached accept
    ct status dnat counter name reached accept
  }}
}}"
    );
    let ran = finish(lab.srv.command("nft").arg(rules), PATIENCE);
    ensure!(ran.code == Some(0), "nft\n{ran}");
    Ok(())
}

/// Packets that the rules of [`nftables`] let through.
fn accepted(host: &Namespace) -> Result<u64> {
    let mut nft = host.command("nft");
    nft.args(["-j", "list", "counter", "inet", "peer", "reached"]);
    let listed = finish(&mut nft, PATIENCE).ok().json();
    let parts = listed["nftables"].as_array().into_iter().flatten();
    let mut packets = parts.filter_map(|part| part["counter"]["packets"].as_u64());
    packets
        .next()
        .with_context(|| format!("no counter of nftables in {listed}"))
}

/// Frames that an interface has taken so far.
fn taken(host: &Namespace, interface: &str) -> Result<u64> {
    let listed = host.ip(&format!("-j -s link show dev {interface}"));
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let packets = listed[0]["stats64"]["rx"]["packets"].as_u64();
    packets.with_context(|| format!("no count of frames in {listed}"))
}
