//! What is compared end to end, each set up with its own real tool for the same policy: nothing comes in
//! but TCP to 22, 80 and 443, and one source to 9000.

use std::{net::TcpListener, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, xdp::XdpMode},
};
use guard_common::abi::{counters::SHARD_ROWS, names, switch::SLOTS};
use guard_user::dataplane::object::BENCH_OBJECT;

use super::{
    arena::{Arena, INTERFACE, SERVER},
    flood::LIMITED_PORT,
    xdp_filter::XdpFilter,
};
use crate::lab::{Instance, Namespace, UFW_PROGRAMS, Ufw, finish};

const PATIENCE: Duration = Duration::from_secs(30);

/// A way to deal with a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// No filter at all.
    Nothing,
    /// The yardstick: a program of ours that drops the flood and does nothing else.
    BareDrop,
    /// guard, in the driver.
    GuardNative,
    /// guard, in the kernel's generic hook.
    GuardGeneric,
    /// guard, in the driver, with a limit per source on the port that [`Kind::SynOnePort`] goes to.
    ///
    /// [`Kind::SynOnePort`]: super::flood::Kind::SynOnePort
    GuardLimit,
    /// The same, and behind the port a server whose queue of half-open connections the flood fills.
    GuardCookies,
    /// xdp-filter of xdp-tools, which knows ports and addresses, but not both in one rule.
    XdpFilter,
    /// nftables on the interface, before IP; no connection tracking there.
    NftIngress,
    /// iptables in the raw table, before connection tracking.
    IptablesRaw,
    /// nftables on the way to sockets, without connection tracking: no answer comes in.
    NftInput,
    /// The same with connection tracking, as its manual sets it up.
    NftInputConntrack,
    /// ufw as the package brings it.
    Ufw,
}

/// A filter that is in force; gone with the value, and with its arena.
#[derive(Debug)]
pub enum Installed {
    /// In the arena's netfilter tables, or nothing at all.
    Netfilter,
    /// A program of ours.
    Program(Box<Ebpf>),
    /// guard.
    Guard(Instance),
    /// guard, and a server on the port that is flooded.
    Served(TcpListener, Instance),
    /// xdp-filter.
    XdpFilter(XdpFilter),
    /// ufw.
    Ufw(Ufw),
}

const NFT_INGRESS: &str = "table netdev peer {
  chain ingress {
    type filter hook ingress device \"eth0\" priority 0; policy drop;
    ether type arp accept
    tcp dport { 22, 80, 443 } accept
    ip saddr 198.51.100.10 tcp dport 9000 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}";
const NFT_INPUT: &str = "table inet peer {
  chain input {
    type filter hook input priority filter; policy drop;
    CONNTRACK
    iif lo accept
    tcp dport { 22, 80, 443 } accept
    ip saddr 198.51.100.10 tcp dport 9000 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}";

impl Filter {
    /// All that are compared with each other, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Nothing,
        Self::BareDrop,
        Self::GuardNative,
        Self::GuardGeneric,
        Self::XdpFilter,
        Self::NftIngress,
        Self::IptablesRaw,
        Self::NftInput,
        Self::NftInputConntrack,
        Self::Ufw,
    ];

    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no filter",
            Self::BareDrop => "bare XDP_DROP",
            Self::GuardNative => "guard native",
            Self::GuardGeneric => "guard generic",
            Self::GuardLimit => "guard limit",
            Self::GuardCookies => "guard cookies",
            Self::XdpFilter => "xdp-filter",
            Self::NftIngress => "nft ingress",
            Self::IptablesRaw => "iptables raw",
            Self::NftInput => "nft input",
            Self::NftInputConntrack => "nft input ct",
            Self::Ufw => "ufw",
        }
    }

    /// For `--peers`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::BareDrop => "bare-drop",
            Self::GuardNative => "guard-native",
            Self::GuardGeneric => "guard-generic",
            Self::GuardLimit => "guard-limit",
            Self::GuardCookies => "guard-cookies",
            Self::XdpFilter => "xdp-filter",
            Self::NftIngress => "nft-ingress",
            Self::IptablesRaw => "iptables-raw",
            Self::NftInput => "nft-input",
            Self::NftInputConntrack => "nft-input-ct",
            Self::Ufw => "ufw",
        }
    }

    /// Is it somebody else's work?
    #[must_use]
    pub fn is_peer(self) -> bool {
        match self {
            Self::Nothing
            | Self::BareDrop
            | Self::GuardNative
            | Self::GuardGeneric
            | Self::GuardLimit
            | Self::GuardCookies => false,
            Self::XdpFilter
            | Self::NftIngress
            | Self::IptablesRaw
            | Self::NftInput
            | Self::NftInputConntrack
            | Self::Ufw => true,
        }
    }

    /// The programs that it needs.
    #[must_use]
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Nothing
            | Self::BareDrop
            | Self::GuardNative
            | Self::GuardGeneric
            | Self::GuardLimit
            | Self::GuardCookies => &[],
            Self::XdpFilter => &["xdp-filter"],
            Self::NftIngress | Self::NftInput | Self::NftInputConntrack => &["nft"],
            Self::IptablesRaw => &["iptables"],
            Self::Ufw => &UFW_PROGRAMS,
        }
    }

    /// Puts it in force on the arena's server.
    ///
    /// # Errors
    /// When its tool or the kernel refuses it.
    ///
    /// # Panics
    /// When guardctl or ufw does.
    pub fn install(self, arena: &Arena) -> Result<Installed> {
        match self {
            Self::Nothing => Ok(Installed::Netfilter),
            Self::BareDrop => {
                attach_bench(&arena.server, "bench_drop_flood").map(Installed::Program)
            }
            Self::GuardNative => guard(arena, "native", &[]).map(Installed::Guard),
            Self::GuardLimit => limited(arena).map(Installed::Guard),
            Self::GuardCookies => {
                let guard = limited(arena)?;
                let server = arena
                    .server
                    .run(|| TcpListener::bind((SERVER, LIMITED_PORT)))?;
                Ok(Installed::Served(server, guard))
            }
            Self::GuardGeneric => {
                // Frames of this size do not fit into the page that native XDP hands a program.
                arena.outside.ip("link set srv mtu 9000");
                guard(arena, "generic", &[]).map(Installed::Guard)
            }
            Self::XdpFilter => {
                let filter = XdpFilter::new(&arena.server)?;
                filter.run(&format!(
                    "load -m native -p deny -f tcp,udp,ipv4 {INTERFACE}"
                ))?;
                filter.run("port -p tcp -m dst 22")?;
                filter.run("port -p tcp -m dst 80")?;
                filter.run("port -p tcp -m dst 443")?;
                filter.run("ip -m src 198.51.100.10")?;
                Ok(Installed::XdpFilter(filter))
            }
            Self::NftIngress => nft(arena, NFT_INGRESS),
            Self::NftInput => nft(arena, &NFT_INPUT.replace("CONNTRACK", "")),
            Self::NftInputConntrack => {
                let conntrack =
                    "ct state vmap { established : accept, related : accept, invalid : drop }";
                nft(arena, &NFT_INPUT.replace("CONNTRACK", conntrack))
            }
            Self::IptablesRaw => iptables_raw(arena),
            Self::Ufw => {
                let ufw = Ufw::new(&arena.server);
                for port in ["22/tcp", "80/tcp", "443/tcp"] {
                    drop(ufw.ufw(&format!("allow {port}")));
                }
                drop(ufw.ufw("allow from 198.51.100.10 to any port 9000 proto tcp"));
                drop(ufw.ufw("--force enable"));
                Ok(Installed::Ufw(ufw))
            }
        }
    }
}

/// guard with a limit that no source of the flood reaches: each comes once.
fn limited(arena: &Arena) -> Result<Instance> {
    let port = format!("{LIMITED_PORT}/tcp");
    let limit = ["limit", &port, "rate", "1/h", "burst", "1"];
    guard(arena, "native", &limit)
}

fn guard(arena: &Arena, mode: &str, more: &[&str]) -> Result<Instance> {
    let guard = Instance::new(&arena.server);
    for rule in ["22/tcp", "80/tcp", "443/tcp"] {
        drop(guard.guardctl(&["allow", rule]).ok());
    }
    drop(guard.guardctl(&["allow", "198.51.100.10", "9000/tcp"]).ok());
    if !more.is_empty() {
        drop(guard.guardctl(more).ok());
    }
    drop(guard.guardctl(&["enable", "--iface", INTERFACE]).ok());
    let status = guard.guardctl(&["status", "--json"]).ok().json();
    let found = &status["interfaces"][0]["mode"];
    ensure!(
        found == mode,
        "guard runs in {found} mode and not in {mode} mode"
    );
    Ok(guard)
}

/// Puts a program of the benchmark's object onto the interface of a host.
pub(super) fn attach_bench(host: &Namespace, name: &str) -> Result<Box<Ebpf>> {
    let mut object = EbpfLoader::new()
        .map_max_entries(names::POLICY, SLOTS)
        .map_max_entries(names::COUNTERS, SHARD_ROWS)
        .load(BENCH_OBJECT)?;
    let program: &mut Xdp = object
        .program_mut(name)
        .context("no yardstick in the benchmark's object")?
        .try_into()?;
    program.load()?;
    host.run(|| program.attach(INTERFACE, XdpMode::Driver))?;
    Ok(Box::new(object))
}

fn nft(arena: &Arena, rules: &str) -> Result<Installed> {
    let mut nft = arena.server.command("nft");
    done(nft.arg(rules))?;
    Ok(Installed::Netfilter)
}

fn iptables_raw(arena: &Arena) -> Result<Installed> {
    let rules = [
        "-i lo -j ACCEPT",
        "-p tcp -m multiport --dports 22,80,443 -j ACCEPT",
        "-s 198.51.100.10 -p tcp --dport 9000 -j ACCEPT",
        "-j DROP",
    ];
    for rule in rules {
        let mut iptables = arena.server.command("iptables");
        iptables.args(["-t", "raw", "-A", "PREROUTING"]);
        done(iptables.args(rule.split(' ')))?;
    }
    Ok(Installed::Netfilter)
}

fn done(command: &mut Command) -> Result<()> {
    let ran = finish(command, PATIENCE);
    ensure!(ran.code == Some(0), "{ran}");
    Ok(())
}
