//! `audit`: what listens on this host, what containers publish, and who can reach it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use guard_common::{
    abi::{
        reason::{Action, Verdict},
        rule::RuleRef,
    },
    memory::MemTables,
    packet::TcpFlags,
    policy::Arrival,
};

use crate::{
    controller::Controller,
    dataplane::pins,
    explain::{Transport, build},
    failure::Failure,
    host::{
        Network,
        containers::{self, Published},
        exposure::{self, Exposure, Guests, Reach},
        listeners::{self, ListeningSocket, PortProtocol},
    },
    ruleset::model::Policy,
    text::address,
};

/// Most sources of rules that are tried for a port; a policy may name a million.
const MOST_SOURCES: usize = 4096;

/// Who can reach a port through the protected interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Everybody.
    Open,
    /// Everybody, over one family only.
    OpenOver(&'static str),
    /// Nobody whom no rule names.
    Closed,
    /// The policy lets nobody in, but strangers can come by interfaces that guard is not on.
    PastGuard,
    /// It listens on this host's own loopback only.
    Local,
    /// guard is off: whatever else there is decides.
    Unfiltered,
}

/// A port and who can reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// TCP or UDP.
    pub protocol: PortProtocol,
    /// The port on this host.
    pub port: u16,
    /// Addresses that it listens on.
    pub addresses: BTreeSet<IpAddr>,
    /// Process or container.
    pub owner: String,
    /// What the policy says to everybody.
    pub world: World,
    /// The rule that says so.
    pub rule: Option<usize>,
    /// Sources that the policy lets in although it is closed to the world.
    pub allowed: Vec<String>,
    /// Interfaces without guard through which it can be reached.
    pub unprotected: Vec<String>,
}

/// The answer of `audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Is guard on?
    pub active: bool,
    /// Every port, in order.
    pub ports: Vec<Audited>,
    /// Who is behind bridges: what listens there is not known here.
    pub guests: Vec<Guests>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

/// What is known about the policy in force.
pub(super) struct AuditedPolicy {
    tables: MemTables,
    policy: Policy,
    protected: BTreeSet<u32>,
    exposures: BTreeSet<Exposure>,
}

type Key = (PortProtocol, u16, String);

impl Controller {
    /// Lists everything that listens or is published, with what the policy in force says of it.
    ///
    /// # Errors
    /// When the pins or netlink cannot be read.
    pub fn audit(&self) -> Result<Audit, Failure> {
        let mut warnings = Vec::new();
        let network = self.network()?;
        let in_force = self.audited_policy(&network, &mut warnings)?;
        let published = match containers::published() {
            Ok(published) => published,
            Err(error) => {
                warnings.push(format!("published ports are not known: {error}"));
                Vec::new()
            }
        };
        let ports = places(&listeners::listeners(), &published)
            .into_iter()
            .map(|(key, addresses)| audited(key, addresses, in_force.as_ref(), &network))
            .collect();
        let none = BTreeSet::new();
        let guarded = in_force.as_ref().map_or(&none, |known| &known.protected);
        Ok(Audit {
            active: in_force.is_some(),
            ports,
            guests: exposure::guests(&network, guarded),
            warnings,
        })
    }

    pub(super) fn audited_policy(
        &self,
        network: &Network,
        warnings: &mut Vec<String>,
    ) -> Result<Option<AuditedPolicy>, Failure> {
        let Some(running) = pins::open(self.layout())? else {
            return Ok(None);
        };
        let policy = match self.load() {
            Ok(loaded) => {
                if loaded.digest != running.slots.digest() {
                    warnings.push(
                        "the policy files are not what is in force: allowed sources are taken from \
                         the files, all else from the kernel"
                            .to_owned(),
                    );
                }
                loaded.policy
            }
            Err(failure) => {
                warnings.push(format!("the policy files do not load:\n{failure}"));
                Policy::default()
            }
        };
        let protected = self.protected(network)?;
        let protected = protected.iter().filter_map(|name| network.interface(name));
        let exposures = self.exposures(network)?;
        warnings.extend(exposures.iter().map(ToString::to_string));
        Ok(Some(AuditedPolicy {
            tables: MemTables::with_policy(running.slots.active_image()),
            policy,
            protected: protected.map(|interface| interface.index).collect(),
            exposures,
        }))
    }
}

/// Ports by owner; a container's port is not listed again for the proxy process that serves it.
fn places(
    listeners: &BTreeSet<ListeningSocket>,
    published: &[Published],
) -> BTreeMap<Key, BTreeSet<IpAddr>> {
    const PROXY: &str = "docker-proxy";
    let mut places: BTreeMap<Key, BTreeSet<IpAddr>> = BTreeMap::new();
    for port in published {
        let owner = format!(
            "container {} (port {})",
            port.container, port.container_port
        );
        places
            .entry((port.protocol, port.port, owner))
            .or_default()
            .insert(port.address);
    }
    for listener in listeners {
        let port = listener.local.port();
        let is_published = published
            .iter()
            .any(|known| known.protocol == listener.protocol && known.port == port);
        let owner = match &listener.process {
            Some((_, name)) if name == PROXY && is_published => continue,
            Some((pid, name)) => format!("{name} ({pid})"),
            None => "?".to_owned(),
        };
        places
            .entry((listener.protocol, port, owner))
            .or_default()
            .insert(listener.local.ip());
    }
    places
}

fn audited(
    (protocol, port, owner): Key,
    addresses: BTreeSet<IpAddr>,
    in_force: Option<&AuditedPolicy>,
    network: &Network,
) -> Audited {
    let mut audited = Audited {
        protocol,
        port,
        addresses,
        owner,
        world: World::Unfiltered,
        rule: None,
        allowed: Vec::new(),
        unprotected: Vec::new(),
    };
    if audited.addresses.iter().all(IpAddr::is_loopback) {
        audited.world = World::Local;
        return audited;
    }
    let none = BTreeSet::new();
    let protected = in_force.map_or(&none, |in_force| &in_force.protected);
    audited.unprotected = unprotected(&audited.addresses, protected, network);
    let Some(in_force) = in_force else {
        return audited;
    };
    // Any interface takes packets to any address of this host.
    let reached = in_force
        .exposures
        .iter()
        .filter(|exposure| match exposure.why {
            Reach::Route | Reach::Address => true,
            // The host itself is behind the bridge.
            Reach::Guests => false,
        });
    for exposure in reached {
        if !audited.unprotected.contains(&exposure.interface) {
            audited.unprotected.push(exposure.interface.clone());
        }
    }
    let is_past = |exposure: &Exposure| audited.unprotected.contains(&exposure.interface);
    let is_reached = in_force.exposures.iter().any(is_past);
    let ask = |source: IpAddr| in_force.ask(&audited, source, network);
    let strangers = in_force.strangers();
    let open: Vec<(bool, RuleRef)> = strangers
        .into_iter()
        .filter_map(|stranger| Some((stranger.is_ipv4(), ask(stranger)?)))
        .filter(|(_, verdict)| verdict.action == Action::Pass)
        .map(|(is_v4, verdict)| (is_v4, verdict.rule))
        .collect();
    let families = strangers
        .into_iter()
        .filter(|stranger| {
            in_force
                .destination(&audited.addresses, *stranger, network)
                .is_some()
        })
        .count();
    let (world, rule) = match open.as_slice() {
        [] if is_reached => (World::PastGuard, None),
        [] => (World::Closed, None),
        [(is_v4, rule)] if families > 1 => (
            World::OpenOver(if *is_v4 { "IPv4" } else { "IPv6" }),
            rule.ordinal(),
        ),
        [(_, rule), ..] => (World::Open, rule.ordinal()),
    };
    let allowed = if world == World::Open {
        Vec::new()
    } else {
        in_force.allowed(&audited, network)
    };
    audited.world = world;
    audited.rule = rule.map(|ordinal| ordinal as usize + 1);
    audited.allowed = allowed;
    audited
}

/// Interfaces, other than loopback and the protected ones, that carry one of these addresses.
fn unprotected(
    addresses: &BTreeSet<IpAddr>,
    protected: &BTreeSet<u32>,
    network: &Network,
) -> Vec<String> {
    let is_wildcard = addresses.iter().any(IpAddr::is_unspecified);
    let mut indices: BTreeSet<u32> = network
        .addresses
        .iter()
        .filter(|(ip, _)| is_wildcard || addresses.contains(ip))
        .map(|(_, index)| *index)
        .collect();
    indices.retain(|index| network.stack(*index).is_disjoint(protected));
    indices
        .into_iter()
        .filter_map(|index| network.by_index(index))
        .map(|interface| interface.name.clone())
        .collect()
}

impl AuditedPolicy {
    /// What becomes of a first packet from a source; `None` when the port is not reachable in that
    /// family.
    fn ask(&self, port: &Audited, source: IpAddr, network: &Network) -> Option<Verdict> {
        let (ifindex, destination) = self.destination(&port.addresses, source, network)?;
        let to = SocketAddr::new(destination, port.port);
        Some(self.verdict(ifindex, port.protocol, source, to))
    }

    /// Does a first packet to a port of an address get in? Through an interface without guard everything does.
    pub(super) fn passes(
        &self,
        (protocol, address, port): (PortProtocol, IpAddr, u16),
        source: IpAddr,
        network: &Network,
    ) -> bool {
        let at = BTreeSet::from([address]);
        let Some((ifindex, destination)) = self.destination(&at, source, network) else {
            // Not an address of this host, as behind NAT: any interface takes it.
            let any = self.protected.first().copied().unwrap_or_default();
            let to = SocketAddr::new(address, port);
            return self.verdict(any, protocol, source, to).action == Action::Pass;
        };
        let to = SocketAddr::new(destination, port);
        self.verdict(ifindex, protocol, source, to).action == Action::Pass
    }

    fn verdict(
        &self,
        ifindex: u32,
        protocol: PortProtocol,
        source: IpAddr,
        to: SocketAddr,
    ) -> Verdict {
        let transport = match protocol {
            PortProtocol::Tcp => Transport::Tcp(TcpFlags(TcpFlags::SYN)),
            PortProtocol::Udp => Transport::Udp,
        };
        let frame = build(SocketAddr::new(source, 40_000), to, transport);
        let decision = guard_common::evaluate(frame.as_slice(), &self.tables, Arrival { ifindex });
        decision.verdict
    }

    /// An address that the port listens on, of the source's family, and the protected interface that takes packets to
    /// it: the one that has it, or what is beneath that, else any.
    fn destination(
        &self,
        addresses: &BTreeSet<IpAddr>,
        source: IpAddr,
        network: &Network,
    ) -> Option<(u32, IpAddr)> {
        // A socket on [::] takes IPv4 as well.
        let takes = |ip: &IpAddr| {
            addresses.contains(ip)
                || addresses.contains(&IpAddr::V6(Ipv6Addr::UNSPECIFIED))
                || ip.is_ipv4() && addresses.contains(&IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        };
        let of_family = |ip: &IpAddr| ip.is_ipv4() == source.is_ipv4() && takes(ip);
        let mut held = network.addresses.iter().filter(|(ip, _)| of_family(ip));
        let at_its_own = held.find_map(|(ip, index)| {
            let stack = network.stack(*index);
            Some((*stack.intersection(&self.protected).next()?, *ip))
        });
        let elsewhere = || {
            let any = *self.protected.first()?;
            Some((any, network.own().find(of_family)?))
        };
        at_its_own.or_else(elsewhere)
    }

    /// An address of each family that no rule names.
    fn strangers(&self) -> [IpAddr; 2] {
        let is_named = |ip: &IpAddr| {
            self.policy
                .rules
                .iter()
                .flat_map(|rule| &rule.source.prefixes)
                .any(|prefix| prefix.prefix() > 0 && prefix.contains(*ip))
        };
        // Steps through the whole space in an order that soon leaves every prefix.
        let v4 = (1u32..)
            .map(|step| Ipv4Addr::from_bits(step.wrapping_mul(0x9e37_79b1)))
            .filter(|ip| (1..224).contains(&ip.octets()[0]) && !ip.is_loopback())
            .map(IpAddr::V4)
            .take(MOST_SOURCES)
            .find(|ip| !is_named(ip));
        let v6 = (1u128..)
            .map(|step| {
                Ipv6Addr::from_bits(0x2 << 124 | step.wrapping_mul(0x9e37_79b9_7f4a_7c15) << 60)
            })
            .map(IpAddr::V6)
            .take(MOST_SOURCES)
            .find(|ip| !is_named(ip));
        [
            v4.unwrap_or(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1))),
            v6.unwrap_or(IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1))),
        ]
    }

    /// Sources of allow rules that are let in.
    fn allowed(&self, port: &Audited, network: &Network) -> Vec<String> {
        let mut seen = BTreeSet::new();
        self.policy
            .enabled_rules()
            .filter(|rule| rule.action.allows())
            .flat_map(|rule| &rule.source.prefixes)
            .filter(|prefix| seen.insert(**prefix))
            .take(MOST_SOURCES)
            .filter(|prefix| {
                self.ask(port, prefix.ip(), network)
                    .is_some_and(|verdict| verdict.action == Action::Pass)
            })
            .map(address::show)
            .collect()
    }
}
