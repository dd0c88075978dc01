//! What `setup` proposes a policy from: interfaces, who is logged in, what listens, and what else firewalls here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use super::audit::World;
use crate::{
    controller::Controller,
    dataplane::preflight,
    failure::{Exit, Failure},
    host::{listeners::PortProtocol, sessions},
    moving_in::other_firewalls::{self, OtherFirewall},
    ruleset::model::{DefaultAction, Policy},
};

/// Programs that serve remote logins, by what their names begin with.
const LOGINS: [&str; 2] = ["sshd", "dropbear"];
/// Where they listen when systemd holds the socket for them.
const SSH_PORT: u16 = 22;

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Interfaces that would be guarded.
    pub interfaces: Vec<String>,
    /// Where this command is given from, over SSH.
    pub callers: BTreeSet<IpAddr>,
    /// What strangers could reach, by protocol and port.
    pub services: Vec<Service>,
    /// What else firewalls or bans.
    pub others: BTreeSet<OtherFirewall>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

/// Something that takes connections from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// TCP or UDP.
    pub protocol: PortProtocol,
    /// Its port.
    pub port: u16,
    /// Process or container.
    pub owner: String,
    /// Does it serve logins?
    pub is_login: bool,
}

impl Service {
    /// `22/tcp`
    #[must_use]
    pub fn port_word(&self) -> String {
        format!("{}/{}", self.port, self.protocol.label())
    }
}

impl Controller {
    /// Looks around. `wanted` are the interfaces that the operator named; none = those with default routes.
    ///
    /// # Errors
    /// Exit 6 or 9 when no interface can be guarded, exit 7 where there is a policy or guard is on already.
    pub fn survey(&self, wanted: &[String]) -> Result<Survey, Failure> {
        let status = self.status()?;
        if status.protection.is_in_force() {
            return Err(Failure::new(Exit::Refused, "guard is on already").help(
                "`guardctl status` shows the policy, `guardctl doctor` what could be better",
            ));
        }
        let policy = self.load()?.policy;
        self.refuse_policy(&policy)?;
        let network = self.network()?;
        let interfaces = match wanted {
            [] => self.interfaces(&policy, &network)?,
            wanted => wanted.to_vec(),
        };
        preflight::interfaces(self.layout(), &network, &interfaces)?;
        let audit = self.audit()?;
        let arrivals: BTreeSet<u16> = sessions::operators()
            .iter()
            .map(|session| session.local.port())
            .collect();
        let reachable = audit.ports.iter().filter(|port| port.world != World::Local);
        let mut services: BTreeMap<(PortProtocol, u16), Service> = BTreeMap::new();
        for port in reachable {
            let is_server = LOGINS.iter().any(|name| port.owner.starts_with(name));
            let is_held = port.port == SSH_PORT && port.owner.starts_with("systemd ");
            let is_login = port.protocol == PortProtocol::Tcp
                && (is_server || is_held || arrivals.contains(&port.port));
            let service = Service {
                protocol: port.protocol,
                port: port.port,
                owner: port.owner.clone(),
                is_login,
            };
            services
                .entry((port.protocol, port.port))
                .or_insert(service);
        }
        Ok(Survey {
            interfaces,
            callers: sessions::callers(),
            services: services.into_values().collect(),
            others: OtherFirewall::found(Path::new("/"), &other_firewalls::processes()),
            warnings: audit.warnings,
        })
    }

    /// A policy that somebody has written is not replaced by a proposal.
    fn refuse_policy(&self, policy: &Policy) -> Result<(), Failure> {
        let is_written = !policy.rules.is_empty() || policy.default != DefaultAction::Deny;
        let what = if is_written {
            format!("{} has a policy already", self.layout().etc.display())
        } else if let Some(first) = self.drop_ins().first() {
            format!("{} is there already", first.display())
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Refused, what).help(
            "`guardctl list` shows it, `guardctl enable` puts it in force; move the files away to begin anew",
        ))
    }
}
