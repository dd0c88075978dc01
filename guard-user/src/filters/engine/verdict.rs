//! What a line comes to.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use super::{
    Evaluated,
    found::{self, Groups},
};

/// Who failed, as the line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A network, where a pattern asks for its length.
    Network(IpAddr, u8),
    /// A name or any other word. It is never looked up, or whoever owns the name's zone could
    /// get anyone banned.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Network(address, length) => write!(f, "{address}/{length}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who failed.
    pub host: Host,
    /// When, in milliseconds since 1970; none if no line said it.
    pub time_ms: Option<i64>,
    /// Every user that was tried on the connection, in their order, if there was more than one.
    pub users: Arc<Vec<String>>,
    /// What `<F-ID>` captured, if it is not the host.
    pub id: Option<String>,
    /// Everything that was captured.
    pub groups: Arc<Groups>,
    /// Lines that make up the failure. fail2ban counts one attempt for them.
    pub attempts: u32,
    /// Number of the failregex, from 0.
    pub pattern: usize,
}

impl Failure {
    /// The user that was tried.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.groups.get(found::USER)
    }
}

/// What a line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// Nothing.
    None,
    /// A failure, if the filter did not say that it is none.
    Ignored,
    /// Part of a failure, perhaps; lines to come decide.
    Pending,
    /// A failure.
    Failure(Failure),
}

pub(super) fn without_failure(evaluated: &Evaluated) -> LineOutcome {
    match evaluated {
        Evaluated::Ignored => LineOutcome::Ignored,
        Evaluated::Nothing | Evaluated::Matched { .. } => LineOutcome::None,
    }
}

/// The host that the groups name; none if they name nobody.
pub(super) fn host(groups: &Groups) -> Option<Host> {
    let length = groups.get(found::CIDR);
    let numeric = groups.get(found::IP4).or_else(|| groups.get(found::IP6));
    if let Some(text) = numeric {
        return Some(address(text, length));
    }
    let word = groups.get(found::DNS).or_else(|| groups.get(found::ID))?;
    Some(address(word, None))
}

/// An address, if the text is one; a pattern's digits may well be none (`999.1.1.1`).
fn address(text: &str, length: Option<&str>) -> Host {
    let Ok(address) = text.parse::<IpAddr>() else {
        return Host::Name(text.to_owned());
    };
    let address = match address {
        IpAddr::V6(v6) => plain(v6),
        IpAddr::V4(_) => address,
    };
    let full = if address.is_ipv4() { 32 } else { 128 };
    match length.map(str::parse::<u8>) {
        Some(Ok(length)) if length < full => Host::Network(address, length),
        Some(_) | None => Host::Address(address),
    }
}

/// `::ffff:192.0.2.1` is an IPv4 host.
fn plain(address: Ipv6Addr) -> IpAddr {
    match address.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None => IpAddr::V6(address),
    }
}
