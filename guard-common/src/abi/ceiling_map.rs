//! Where everything stands in the map of ceilings: one array of words for what bounds floods, so that one look-up does.

/// First word of the meters of ports.
pub const PORTS_FIRST: u32 = 0;
/// First word of the meters of source prefixes.
pub const PREFIXES_FIRST: u32 = PORTS_FIRST + PORTS;
/// First word of the numbers of SYNs that were answered with a cookie, by port.
pub const ANSWERED_FIRST: u32 = PREFIXES_FIRST + PREFIXES;
/// First word of the numbers of SYNs that were above the ceiling, by port.
pub const REFUSED_FIRST: u32 = ANSWERED_FIRST + PORTS;
/// First word of the marks of ports whose ceiling is exceeded ([`super::ceiling::exceeded`]).
pub const EXCEEDED_FIRST: u32 = REFUSED_FIRST + PORTS;
/// First word of the meters of ports for sources that have completed a handshake there.
pub const KNOWN_FIRST: u32 = EXCEEDED_FIRST + PORTS;
/// Meter of the fragments that nothing vouches for, of all sources together.
pub const FRAGMENTS: u32 = KNOWN_FIRST + PORTS;
/// Meter of ICMP errors.
pub const ERRORS: u32 = FRAGMENTS + 1;
/// First word of the meters of segments that nothing vouches for, by port.
pub const OUT_OF_STATE_FIRST: u32 = ERRORS + 1;
/// First word of the numbers of those that were above their ceiling, by port.
pub const OUT_OF_STATE_REFUSED_FIRST: u32 = OUT_OF_STATE_FIRST + PORTS;
/// Tick at which a SYN was answered with a cookie last.
pub const LAST_COOKIE: u32 = OUT_OF_STATE_REFUSED_FIRST + PORTS;
/// Meter of echo requests.
pub const ECHOES: u32 = LAST_COOKIE + 1;
/// First word of the meters of datagrams from sources that this host has not answered, by port.
pub const DATAGRAMS_FIRST: u32 = ECHOES + 1;
/// First word of the meters of those of them that repeat themselves, by port.
pub const REPEATS_FIRST: u32 = DATAGRAMS_FIRST + PORTS;
/// First word of the bits of ports that a datagram left from.
pub const UDP_ANSWERS_FIRST: u32 = REPEATS_FIRST + PORTS;
/// Generation of those who repeat themselves ([`super::repeat::Generation`]).
pub const REPEAT_GENERATION: u32 = UDP_ANSWERS_FIRST + PORTS / 64;
/// How many came in it, about.
pub const REPEAT_FILLED: u32 = REPEAT_GENERATION + 1;
/// First word of the handshakes under way ([`super::handshake`]).
pub const HANDSHAKES_FIRST: u32 = REPEAT_FILLED + 1;
/// First word of the marks of addresses that this host has sent to ([`super::peers`]).
pub const SENT_TO_FIRST: u32 = HANDSHAKES_FIRST + HANDSHAKES;
/// First word of the marks of source prefixes of which somebody has completed a handshake with a service that
/// is behind this host.
pub const SHOOK_HANDS_FIRST: u32 = SENT_TO_FIRST + PEERS;
/// First word of the marks of addresses that this host has had a conversation of datagrams with.
pub const CONVERSED_FIRST: u32 = SHOOK_HANDS_FIRST + PEERS;
/// First word of the transactions of DHCP.
pub const TRANSACTIONS_FIRST: u32 = CONVERSED_FIRST + PEERS;
/// Words of the map: 5 MB.
pub const WORDS: u32 = TRANSACTIONS_FIRST + TRANSACTIONS;

/// A word for each port.
const PORTS: u32 = 1 << 16;
/// Words of the two tables of meters of source prefixes.
pub const PREFIXES: u32 = 1 << 14;
/// Words of handshakes. A published port takes some 2000 SYNs per second at most (its ceiling), so a word outlives
/// several seconds of a flood, and a SYN+ACK that is sent again writes it again.
pub const HANDSHAKES: u32 = 1 << 14;
/// Marks of one kind of peers.
pub const PEERS: u32 = 1 << 14;
/// Marks of transactions.
pub const TRANSACTIONS: u32 = 1 << 6;
