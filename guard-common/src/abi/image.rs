//! Layout of a compiled policy: one run of 64-bit words, read by [`crate::policy`] in the kernel and
//! in the model alike, written by the compiler in `guard-user`. All-zero words drop everything that
//! is not essential. Where a word holds two numbers, `low, high` names the halves in this order.
//!
//! ```text
//! 0      header            flags, sizes, where the tables behind the services begin
//! 16     interfaces        ifindex -> interface class
//! 32     ends              times at which rules end, ascending
//! 64     source ports      port -> class of source ports, by spans
//! 96     length trees      which prefix lengths to try, and in which order
//! 640    source filters    one bit per leading 16 bits: may a prefix hold this source?
//! 2688   services          group number by service, 16 bits each
//! 35521  groups            [group * scopes + scope] -> Group
//! …      classes           [class * scopes + scope] -> Class
//! …      prefixes          hash table of (prefix, length) -> class, 1 word an entry
//! …      wide prefixes     the IPv6 prefixes of that table, 2 words an entry
//! …      pairs             hash table of (list, class) -> rule, 1 word an entry
//! …      meters            [ordinal] -> Meter, 2 words a rule, up to the last with a limit
//! …      keys              [ordinal] -> number by which user space knows the rule again, up to the end
//! ```

use super::{addr::Addr, service::Service};

/// Flags, which user space also writes into the switch word.
pub const HEADER_FLAGS: u32 = 0;
/// `low, high` = generation, number of rules.
pub const HEADER_GENERATION: u32 = 1;
/// Digest of the files that the policy was compiled from.
pub const HEADER_DIGEST: u32 = 2;
/// `low, high` = first word of the classes, number of scopes.
pub const HEADER_CLASSES: u32 = 3;
/// Prefix table, a [`TableRef`].
pub const HEADER_PREFIXES: u32 = 4;
/// First word of the full prefixes behind the prefix table, two words each.
pub const HEADER_WIDE: u32 = 5;
/// Pair table, a [`TableRef`].
pub const HEADER_PAIRS: u32 = 6;
/// Class of a source that no longer prefix holds: `low, high` = IPv4, IPv6.
pub const HEADER_SOURCE_DEFAULT: u32 = 7;
/// The same for destinations.
pub const HEADER_DESTINATION_DEFAULT: u32 = 8;
/// `low, high` = number of destination classes, number of scopes between two ends: a scope is
/// `(ends that have passed * classes of source ports + class of the source port) * high + interface class * low +
/// destination class`.
pub const HEADER_DESTINATIONS: u32 = 9;
/// Most new connections per port, a [`super::ceiling::Ceiling`].
pub const HEADER_CEILING: u32 = 13;
/// Most segments per port that nothing vouches for, a [`super::ceiling::Ceiling`]; 0 = any number.
pub const HEADER_OUT_OF_STATE: u32 = 14;
/// Most datagrams per port from sources that this host has not answered, a [`super::ceiling::Ceiling`]; 0 = any
/// number.
pub const HEADER_DATAGRAMS: u32 = 15;
/// What user space makes room for: length of the whole image in words, buckets of the flow table.
pub const HEADER_LENGTH: u32 = 10;

/// The two numbers of [`HEADER_LENGTH`]. An image that says nothing of the flow table wants one of the usual size.
#[must_use]
pub const fn sizes(word: u64) -> (u32, u32) {
    let buckets = (word >> 32) as u32;
    (
        word as u32,
        if buckets == 0 {
            super::flow::BUCKETS
        } else {
            buckets
        },
    )
}

/// First word of the meters.
pub const HEADER_METERS: u32 = 11;
/// What all meters share, a [`super::meter::Scale`].
pub const HEADER_LIMITS: u32 = 12;

/// First word of the interface table; `low, high` = ifindex, class.
pub const INTERFACES: u32 = 16;
/// Interfaces that rules may name.
pub const MAX_INTERFACES: u32 = 16;

/// First word of the ends: nanoseconds of boot time, ascending; behind the last stands the largest number. Read
/// only with [`CONDITIONS`].
pub const ENDS: u32 = INTERFACES + MAX_INTERFACES;
/// Different times at which rules may end: a search of [`END_STEPS`] steps finds how many of them have passed.
pub const MAX_ENDS: u32 = (1 << END_STEPS) - 1;
/// Steps of that search.
pub const END_STEPS: u32 = 5;

/// First word of the spans of source ports: `low, high` = first port, class; ascending. Ports before the first span are of
/// class 0; behind the last span stands [`NO_PORT`]. The last word is the number of classes. Read only with
/// [`CONDITIONS`].
pub const SOURCE_PORTS: u32 = ENDS + MAX_ENDS + 1;
/// Spans that a search of [`END_STEPS`] steps can tell apart.
pub const MAX_PORT_SPANS: u32 = MAX_ENDS;
/// Behind the last port.
pub const NO_PORT: u32 = 1 << 16;

/// First word of the length trees.
pub const TREES: u32 = SOURCE_PORTS + MAX_PORT_SPANS + 1;
/// Nodes of a tree, a word each: node 0 is the end, node 1 the root, and every length needs one.
pub const TREE_NODES: u32 = 129;
/// Levels of a balanced tree: 128 lengths need 8.
pub const TREE_LEVELS: u32 = 8;
/// Words of a tree, rounded up to a cache line.
const TREE_WORDS: u32 = TREE_NODES.next_multiple_of(8);

/// A step of the search for the longest prefix: try `len`, then go on at one of two nodes. The
/// children are stored rather than computed, which keeps the verifier from following every path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeNode(u64);

impl TreeNode {
    /// Tries `len` (1 to 128), then goes on at a node for longer or for shorter prefixes.
    #[must_use]
    pub const fn new(len: u32, if_found: u32, if_missing: u32) -> Self {
        Self(len as u64 | (if_found as u64) << 8 | (if_missing as u64) << 16)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Prefix length to try; 0 = the search is over.
    #[inline(always)]
    #[must_use]
    pub const fn len(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    /// Is this the end?
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where to go when a prefix of this length holds the address.
    #[inline(always)]
    #[must_use]
    pub const fn if_found(self) -> u32 {
        (self.0 >> 8 & 0xff) as u32
    }

    /// Where to go when none does.
    #[inline(always)]
    #[must_use]
    pub const fn if_missing(self) -> u32 {
        (self.0 >> 16 & 0xff) as u32
    }
}

/// First word of the source filters, IPv4 before IPv6.
pub const FILTERS: u32 = TREES + 4 * TREE_WORDS;
/// Words of one filter: 65 536 bits.
pub const FILTER_WORDS: u32 = 1024;

/// First word of the services; four services in each, 16 bits each: the number of the group and
/// [`OPEN_TO_STRANGERS`].
pub const SERVICES: u32 = FILTERS + 2 * FILTER_WORDS;
/// Mark beside the number of a group: there is one scope, and a rule of the group lets in, without a
/// limit, sources that no rule names. Says nothing that the group does not say, but at once.
pub const OPEN_TO_STRANGERS: u32 = 1 << 15;
/// First word of the groups, `[group * scopes + scope]`, straight behind the services.
pub const GROUPS: u32 = SERVICES + Service::ROWS.div_ceil(4);
/// Length of the fixed part.
pub const FIXED_WORDS: u32 = GROUPS;

/// Flag: the default is allow.
pub const DEFAULT_ALLOW: u32 = 1;
/// Flag: a rule without port or protocol allows something, so no port is closed to all.
pub const ANY_ALLOWS: u32 = 2;
/// Flag: sources must be classified.
pub const BY_SOURCE: u32 = 4;
/// Flag: destinations must be classified.
pub const BY_DESTINATION: u32 = 8;
/// Flag: the interface matters.
pub const BY_INTERFACE: u32 = 16;
/// Flag: a /0 of one family gives a class to every source of that family.
pub const FAMILY_CLASSES: u32 = 32;
/// Flag: a rule without port, protocol or source matches something, so class 0 has a rule.
pub const ANY_FROM_ANYWHERE: u32 = 64;
/// Flag: monitor mode. Everything passes; what would be dropped is counted apart.
pub const MONITOR: u32 = 128;
/// Flag: somebody is on the never list.
pub const HAS_NEVER: u32 = 256;
/// Flag: rules end, or ask for the port of the sender.
pub const CONDITIONS: u32 = 512;

/// A hash table: `first word (32 bits) | log2 of its entries (8 bits) | seed (24 bits)`, from the
/// low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRef(u64);

impl TableRef {
    /// A table at `first` of `1 << log_size` entries; 24 bits of seed.
    #[must_use]
    pub const fn new(first: u32, log_size: u32, seed: u32) -> Self {
        Self(first as u64 | (log_size as u64 & 0x1f) << 32 | (seed as u64) << 40)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// First word.
    #[inline(always)]
    #[must_use]
    pub const fn first(self) -> u32 {
        self.0 as u32
    }

    /// Entries less one.
    #[inline(always)]
    #[must_use]
    pub const fn mask(self) -> u32 {
        (1u32 << (self.0 >> 32 & 0x1f)) - 1
    }

    /// Seed of the hash.
    #[inline(always)]
    #[must_use]
    pub const fn seed(self) -> u64 {
        self.0 >> 40
    }
}

/// An entry of the prefix table in one word: `check (32 bits) | class (20 bits) | tag (10 bits)`,
/// from the high end; 0 = empty. For IPv4 the check is the whole prefix; for IPv6 it is a fold of
/// it, and the prefix itself lies in the same place of the wide table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixEntry(u64);

/// What a look-up in the prefix table asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixKey {
    /// The prefix, masked.
    pub prefix: Addr,
    /// Length, and a bit for each of family and domain.
    tag: u32,
}

impl PrefixKey {
    const TAG_BITS: u32 = 10;
    const CLASS_BITS: u32 = 20;

    /// The key of the first `len` bits of an address in a tree.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, len: u32, tree: Tree) -> Self {
        Self {
            prefix: addr.masked(len),
            tag: len | (tree as u32) << 8,
        }
    }

    #[inline(always)]
    const fn check(self) -> u32 {
        if self.is_wide() {
            ((self.prefix.hi() ^ self.prefix.lo()) >> 32) as u32 ^ self.prefix.hi() as u32
        } else {
            self.prefix.v4()
        }
    }

    /// Must the wide table be asked too?
    #[inline(always)]
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.tag & Tree::V6_BIT << 8 != 0
    }

    /// Where the search begins, before masking to the table's size.
    #[inline(always)]
    #[must_use]
    pub const fn hash(self, seed: u64) -> u32 {
        let head = if self.is_wide() { self.prefix.hi() } else { 0 };
        let mut hash = (head ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ hash >> 32 ^ self.prefix.lo() ^ (self.tag as u64) << 48)
            .wrapping_mul(0xd6e8_feb8_6659_fd93);
        (hash >> 32) as u32
    }

    /// The entry that says "this prefix is of this class".
    #[inline(always)]
    #[must_use]
    pub const fn entry(self, class: u32) -> PrefixEntry {
        let low = (class as u64) << Self::TAG_BITS | self.tag as u64;
        PrefixEntry((self.check() as u64) << 32 | low)
    }
}

impl PrefixEntry {
    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Is the place empty?
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Is it, but for the class, that entry? Then it can be an entry of the same key, and for an IPv4
    /// key it is.
    #[inline(always)]
    #[must_use]
    pub const fn differs_in_class(self, other: Self) -> bool {
        const CLASS: u64 = ((1 << PrefixKey::CLASS_BITS) - 1) << PrefixKey::TAG_BITS;
        (self.0 ^ other.0) & !CLASS == 0
    }

    /// Its class.
    #[inline(always)]
    #[must_use]
    pub const fn class(self) -> u32 {
        self.0 as u32 >> PrefixKey::TAG_BITS & ((1 << PrefixKey::CLASS_BITS) - 1)
    }
}

/// Places that a look-up may visit in a hash table; the compiler grows a table until this holds.
pub const MAX_PROBES: u32 = 8;

/// Which of the four trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// IPv4 sources.
    SourceV4 = 0,
    /// IPv6 sources.
    SourceV6 = 1,
    /// IPv4 destinations.
    DestinationV4 = 2,
    /// IPv6 destinations.
    DestinationV6 = 3,
}

impl Tree {
    const V6_BIT: u32 = 1;

    /// First word of the tree.
    #[inline(always)]
    #[must_use]
    pub const fn at(self) -> u32 {
        TREES + self as u32 * TREE_WORDS
    }

    /// The tree with this number, taken modulo 4.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number & 3 {
            0 => Self::SourceV4,
            1 => Self::SourceV6,
            2 => Self::DestinationV4,
            _ => Self::DestinationV6,
        }
    }
}

/// Bit of the source filter that stands for this address: its first 16 bits (IPv4), or 16 bits
/// hashed from its first 32 (IPv6).
#[inline(always)]
#[must_use]
pub const fn filter_bit(addr: Addr) -> u32 {
    if addr.is_v4() {
        addr.v4() >> 16
    } else {
        filter_bit_v6((addr.hi() >> 32) as u32)
    }
}

/// The IPv6 half of [`filter_bit`], of the first 32 bits.
#[inline(always)]
#[must_use]
pub const fn filter_bit_v6(head: u32) -> u32 {
    head.wrapping_mul(0x9e37_79b1) >> 16
}

/// Where the search for a pair begins, before masking to the table's size.
#[inline(always)]
#[must_use]
pub const fn pair_hash(key: u64, seed: u64) -> u32 {
    ((key ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}
