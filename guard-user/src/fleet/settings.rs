//! `/etc/guard/fleet.toml`: what this host has joined, and whom it believes. guardctl writes it, root owns it; the daemon
//! takes from it whom to believe, guard-fleet the rest.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{
    bundle,
    lapi_url::LapiUrl,
    member::{self, MOST_GROUP, Member},
};
use crate::{
    failure::{Exit, Failure, from_io},
    text::value::{BadValue, quoted},
};

/// Longest file that is read.
const MOST_BYTES: u64 = 64 << 10;
/// Most servers that are tried.
const MOST_SERVERS: usize = 16;
/// Most hosts that must say the same.
const MOST_QUORUM: u16 = 100;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetSettings {
    /// NATS, between guards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsSettings>,
    /// CrowdSec's LAPI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowdsec: Option<CrowdsecSettings>,
}

/// `[nats]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSettings {
    /// `tls://HOST:PORT`, or `nats://` where the server is on this host.
    pub servers: Vec<String>,
    /// Name of this host in the fleet.
    pub host: String,
    /// Its group.
    pub group: String,
    /// File of its key: the seed of an nkey, or a file of credentials.
    pub key: PathBuf,
    /// File of the authority that vouches for the servers; the system's if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Public key of who may say what this host's policy is; nobody, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_key: Option<String>,
    /// Whom to believe, by group: `full`, `quorum N` or `watch`. Groups that are not named are watched.
    #[serde(default)]
    pub trust: BTreeMap<String, Trust>,
}

/// `[crowdsec]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrowdsecSettings {
    /// `http://HOST:PORT`, `https://…` or `unix:/PATH`.
    pub url: String,
    /// File of the bouncer's key; not with a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// File of the authority that vouches for the LAPI; the system's if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Files of this host's certificate and its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// See `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_key: Option<PathBuf>,
    /// Tell the LAPI what this host's jails ban: name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// File of the machine's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
}

/// How much a group is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Trust {
    /// Whom one of its hosts bans is banned here.
    Full,
    /// Whom so many of its hosts ban.
    Quorum(u16),
    /// Nobody; what would be banned is counted and shown.
    #[default]
    Watch,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Quorum(hosts) => write!(f, "quorum {hosts}"),
            Self::Watch => f.write_str("watch"),
        }
    }
}

impl FromStr for Trust {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(format!("{} is no trust", quoted(text)))
                .help(format!("full, quorum N (2 to {MOST_QUORUM}) or watch"))
        };
        match text {
            "full" => Ok(Self::Full),
            "watch" => Ok(Self::Watch),
            other => {
                let hosts = other.strip_prefix("quorum ").ok_or_else(bad)?;
                let hosts: u16 = hosts.trim().parse().map_err(|_| bad())?;
                if !(2..=MOST_QUORUM).contains(&hosts) {
                    return Err(bad());
                }
                Ok(Self::Quorum(hosts))
            }
        }
    }
}

impl TryFrom<String> for Trust {
    type Error = BadValue;

    fn try_from(text: String) -> Result<Self, BadValue> {
        text.parse()
    }
}

impl From<Trust> for String {
    fn from(trust: Trust) -> Self {
        trust.to_string()
    }
}

impl NatsSettings {
    /// This host.
    ///
    /// # Errors
    /// What is wrong with its names.
    pub fn member(&self) -> Result<Member, BadValue> {
        Member::new(&self.group, &self.host)
    }

    /// How much this member is believed.
    #[must_use]
    pub fn trust(&self, member: &Member) -> Trust {
        self.trust.get(member.group()).copied().unwrap_or_default()
    }
}

impl FleetSettings {
    /// Reads the file; nothing is joined when there is none.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(from_io(path.display(), &error)),
            Ok(found) => found,
        };
        if !found.is_file() || found.len() > MOST_BYTES {
            return Err(bad(path, "is no file of settings").help("a small regular file"));
        }
        let text = fs::read_to_string(path).map_err(|error| from_io(path.display(), &error))?;
        Self::parse(&text, path)
    }

    /// The same of a text; `path` is where it stands, for complaints.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let settings: Self = toml::from_str(text).map_err(|error| bad(path, &error.to_string()))?;
        settings
            .check()
            .map_err(|complaint| bad(path, &complaint.to_string()))?;
        Ok(settings)
    }

    /// Is anything joined?
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.nats.is_some() || self.crowdsec.is_some()
    }

    /// Is every value one that can be used?
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), BadValue> {
        if let Some(nats) = &self.nats {
            nats.member()?;
            for group in nats.trust.keys() {
                member::name(group, "group", MOST_GROUP)?;
            }
            if let Some(key) = &nats.policy_key {
                bundle::signer(key)?;
            }
            if nats.servers.is_empty() || nats.servers.len() > MOST_SERVERS {
                return Err(
                    BadValue::new("servers: names none, or too many".to_owned()).help(format!(
                        "1 to {MOST_SERVERS}, e.g. tls://nats.example.org:4222"
                    )),
                );
            }
        }
        match &self.crowdsec {
            Some(crowdsec) => crowdsec.check(),
            None => Ok(()),
        }
    }
}

impl CrowdsecSettings {
    /// Do the values fit each other?
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), BadValue> {
        let url: LapiUrl = self.url.parse()?;
        let lacks = |what: &str, way_out: &str| Err(BadValue::new(what.to_owned()).help(way_out));
        if self.certificate.is_some() != self.certificate_key.is_some() {
            return lacks(
                "certificate: it and certificate_key belong together",
                "name both files, or neither",
            );
        }
        if self.key.is_some() == self.certificate.is_some() {
            return lacks(
                "key: a bouncer has either a key or a certificate",
                "`cscli bouncers add guard` prints a key: write it into a file and name that",
            );
        }
        if self.certificate.is_some() && !matches!(url, LapiUrl::Https(_)) {
            return lacks(
                "certificate: works with https:// only",
                "name a key instead",
            );
        }
        if self.machine.is_some() != self.password.is_some() {
            return lacks(
                "machine: it and password belong together",
                "`cscli machines add NAME` makes both: name the machine, and the file of its password",
            );
        }
        if let Some(machine) = &self.machine {
            member::name(machine, "machine", member::MOST_HOST)?;
        }
        Ok(())
    }
}

fn bad(path: &Path, what: &str) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        format!("{}: {}", path.display(), what.trim_end()),
    )
}
