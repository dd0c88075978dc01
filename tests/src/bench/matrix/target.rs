//! What the floods of the matrix are sent to.

/// Where services are.
pub const OPEN: u16 = 9000;
/// Where a server of HTTP/3 is, if the clients of a flood are looked at.
pub const HTTP3: u16 = 9443;
/// Where none is.
const CLOSED: u16 = 9001;

/// What is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A port that no rule opens, of a host that may not be pinged.
    Closed,
    /// A port of an echo server of this host.
    Host,
    /// A port that netfilter leads to an echo server behind this host, as Docker publishes one.
    Published,
}

impl Target {
    /// All, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Host, Self::Published];

    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed port",
            Self::Host => "open port of this host",
            Self::Published => "published port",
        }
    }

    /// Where it is.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Closed => CLOSED,
            Self::Host | Self::Published => OPEN,
        }
    }

    /// Programs that it needs.
    #[must_use]
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Closed | Self::Host => &[],
            Self::Published => &["iptables", "ip6tables"],
        }
    }
}
