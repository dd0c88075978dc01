//! What `verify` tries from outside, and what the policy in force says of it.

use std::net::IpAddr;

use super::audit::{Audited, World};
use crate::{
    controller::Controller,
    failure::{Exit, Failure},
    host::listeners::PortProtocol,
};

/// A port that hardly anything listens on: that it is closed says that the others are closed by guard.
const UNUSED: u16 = 47_853;

/// A port of an address of this host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// TCP or UDP.
    pub protocol: PortProtocol,
    /// Where it is asked.
    pub address: IpAddr,
    /// Which port.
    pub port: u16,
    /// Who listens there; nobody, as far as is known.
    pub owner: Option<String>,
}

impl Controller {
    /// Every port that is listened on, at each of these addresses; none = those that strangers know. One more that
    /// nobody listens on comes last.
    ///
    /// # Errors
    /// Exit 3 when guard is off, exit 6 when this host has no address that strangers could use.
    pub fn targets(&self, addresses: &[IpAddr]) -> Result<Vec<Target>, Failure> {
        let audit = self.audit()?;
        if !audit.active {
            return Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on; then there is something to verify"));
        }
        let addresses = match addresses {
            [] => self.known_to_strangers()?,
            named => named.to_vec(),
        };
        let mut targets = Vec::new();
        for address in addresses {
            let here = audit.ports.iter().filter(|port| takes(port, address));
            targets.extend(here.map(|port| Target {
                protocol: port.protocol,
                address,
                port: port.port,
                owner: Some(port.owner.clone()),
            }));
            let is_used = audit
                .ports
                .iter()
                .any(|port| port.protocol == PortProtocol::Tcp && port.port == UNUSED);
            if !is_used {
                targets.push(Target {
                    protocol: PortProtocol::Tcp,
                    address,
                    port: UNUSED,
                    owner: None,
                });
            }
        }
        targets.sort();
        targets.dedup_by(|one, other| {
            (one.protocol, one.address, one.port) == (other.protocol, other.address, other.port)
        });
        Ok(targets)
    }

    /// Addresses of the guarded interfaces, but for those that end at the next router.
    fn known_to_strangers(&self) -> Result<Vec<IpAddr>, Failure> {
        let network = self.network()?;
        let guarded = self.protected(&network)?;
        let of_guarded = network.addresses.iter().filter(|(_, index)| {
            let interface = network.by_index(*index);
            interface.is_some_and(|interface| guarded.contains(&interface.name))
        });
        let found: Vec<IpAddr> = of_guarded
            .map(|(address, _)| *address)
            .filter(|address| match address {
                IpAddr::V4(v4) => !v4.is_link_local(),
                IpAddr::V6(v6) => !v6.is_unicast_link_local(),
            })
            .collect();
        if found.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                "no guarded interface has an address that strangers could use",
            )
            .help("name the one by which this host is known: `guardctl verify --to ADDRESS`"));
        }
        Ok(found)
    }

    /// Does the policy in force let a first packet from this source in, at each target? The rule that does.
    ///
    /// # Errors
    /// As [`Controller::audit`].
    pub fn lets_in(&self, asked: &[(Target, IpAddr)]) -> Result<Vec<bool>, Failure> {
        let network = self.network()?;
        let policy = self.audited_policy(&network, &mut Vec::new())?;
        Ok(asked
            .iter()
            .map(|(target, source)| {
                let to = (target.protocol, target.address, target.port);
                policy
                    .as_ref()
                    .is_none_or(|policy| policy.passes(to, *source, &network))
            })
            .collect())
    }
}

/// Does it listen at this address?
fn takes(port: &Audited, address: IpAddr) -> bool {
    let is_any = |listened: &IpAddr| match listened {
        IpAddr::V4(v4) => v4.is_unspecified() && address.is_ipv4(),
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    port.world != World::Local
        && port
            .addresses
            .iter()
            .any(|listened| *listened == address || is_any(listened))
}
