//! Names in the BPF object. The kernel keeps 15 characters.

/// The XDP program.
pub const INGRESS: &str = "guard_ingress";
/// The XDP program that answers SYNs with cookies, reached from the other one.
pub const ANSWER: &str = "guard_cookie";
/// The XDP program of IPv6, reached from the other one.
pub const OTHERS: &str = "guard_others";
/// The tc program on the way out.
pub const EGRESS: &str = "guard_egress";
/// The tc program that drops whatever comes in while the XDP program changes its mode.
pub const CLOSED: &str = "guard_closed";
/// A program that a test run asks for the kernel's clock.
pub const CLOCK: &str = "guard_clock";
/// Array of policy words: [`super::switch::SLOTS`] slots of [`SLOT_WORDS`] words.
pub const POLICY: &str = "policy";
/// Array of [`super::switch::WORDS`] words: the [`super::switch::SwitchWord`], the seed of this boot,
/// which only user space reads, and the time for instances with [`FIXED_CLOCK`].
pub const SWITCH: &str = "switch";
/// Array of [`super::counters::Counter`], one shard after the other.
pub const COUNTERS: &str = "counters";
/// Array of [`super::counters::Counter`], [`super::hit::Hit::CELLS`] in each shard.
pub const RULE_HITS: &str = "rule_hits";
/// Array of fragment stamps.
pub const FRAGMENTS: &str = "fragments";
/// Array of [`super::flow::BucketWords`].
pub const FLOWS: &str = "flows";
/// Array of [`super::flow::PORT_ROWS`] rows of bytes: what is known of local ports.
pub const PORTS: &str = "ports";
/// Array of [`super::ceiling::WORDS`] words: meters and numbers of ports, and marks of peers
/// ([`super::peers`]).
pub const CEILINGS: &str = "ceilings";
/// The programs that the XDP program jumps to: [`ANSWER`]. Pinned, because it is empty as soon as
/// nobody but programs holds it.
pub const PROGRAMS: &str = "programs";
/// What the XDP program tells the one that it jumps to, per CPU. Pinned, because while one instance takes
/// the place of another, the old one jumps to the program of the new one.
pub const HANDOVER: &str = "handover";
/// The programs that frames of other forms are handed to and fro between: [`OTHERS`] and [`INGRESS`], at the places that
/// [`super::form`] names. Of one instance alone; pinned beside each link of it, because it is empty as soon as nobody but
/// programs holds it.
pub const FORM_PROGRAMS: &str = "form_programs";
/// Words of [`super::watch`]: a section of data, which costs a packet less than an array would.
pub const WATCH: &str = ".data.watch";
/// Its pin, and its name in the objects that report: bpffs reserves names with a dot.
pub const WATCH_PIN: &str = "watch";
/// The programs that report to those who watch, [`super::watch::WATCHERS`] at most.
pub const WATCH_PROGRAMS: &str = "watch_programs";
/// Maps through which programs meet, or that one takes over from the other, and their pins. An instance of the build
/// before may lack some of them, which are then made.
pub const BETWEEN_PROGRAMS: [(&str, &str); 5] = [
    (PROGRAMS, PROGRAMS),
    (HANDOVER, HANDOVER),
    (WATCH_PROGRAMS, WATCH_PROGRAMS),
    (WATCH, WATCH_PIN),
    (RULE_HITS, RULE_HITS),
];
/// The ring of an object that reports.
pub const EVENTS: &str = "events";
/// Array of [`super::watch::Tally`] of an object that reports, by CPU.
pub const TALLY: &str = "tally";
/// The XDP program that reports.
pub const REPORT: &str = "guard_report";
/// The XDP program that traces.
pub const TRACE: &str = "guard_trace";
/// What the XDP program notes of a frame while it evaluates it, an element per possible CPU. Of one instance alone:
/// never pinned.
pub const SCRATCH: &str = "scratch";
/// The same of the tc program.
pub const SCRATCH_OUT: &str = "scratch_out";
/// Array of [`super::meter::BucketWords`].
pub const METERS: &str = "meters";
/// Array of words: [`super::ban::BanMap::Filter`].
pub const BAN_FILTER: &str = "ban_filter";
/// Array of words: [`super::ban::BanMap::Tops`].
pub const BAN_TOPS: &str = "ban_tops";
/// Array of words: [`super::ban::BanMap::Chunks`].
pub const BAN_CHUNKS: &str = "ban_chunks";
/// Array of [`super::ban::BucketWords`]: [`super::ban::BanMap::Set`].
pub const BAN_SET: &str = "ban_set";
/// Array of [`super::ban::AddressWords`]: [`super::ban::BanMap::Addresses`].
pub const BAN_ADDRESSES: &str = "ban_addresses";
/// Array of [`super::ban::FingerprintWords`]: [`super::ban::BanMap::Fingerprints`].
pub const BAN_FINGERPRINTS: &str = "ban_fingerprint";
/// Every array that user space shares, in the order in which they are pinned.
pub const MAPS: [&str; 14] = [
    POLICY,
    SWITCH,
    COUNTERS,
    FRAGMENTS,
    FLOWS,
    PORTS,
    BAN_FILTER,
    BAN_TOPS,
    BAN_CHUNKS,
    BAN_SET,
    BAN_ADDRESSES,
    BAN_FINGERPRINTS,
    METERS,
    CEILINGS,
];

/// Constant of the object: words in one policy slot.
pub const SLOT_WORDS: &str = "SLOT_WORDS";
/// Constant of the object: buckets of the set of bans less one.
pub const BAN_MASK: &str = "BAN_MASK";
/// Constant of the object: buckets of banned IPv4 addresses less one.
pub const BAN_ADDRESS_MASK: &str = "BAN_ADDRESS_MASK";
/// Constant of the object: 1 where there is a fingerprint filter of banned IPv4 addresses.
pub const BAN_HAS_FINGERPRINTS: &str = "BAN_HAS_FINGERPRINTS";
/// Constant of the object: buckets of the flow table less one.
pub const FLOW_MASK: &str = "FLOW_MASK";
/// Constant of the object: counter shards, a power of two.
pub const SHARDS: &str = "SHARDS";
/// Constant of the object: 1 when every possible CPU has a shard of its own.
pub const OWN_SHARD: &str = "OWN_SHARD";
/// Constant of the object: random number of this boot, for hashes that an attacker could aim at.
pub const SEED: &str = "SEED";
/// Constant of the object: [`super::flow::keys`] of that number.
pub const FLOW_KEYS: &str = "FLOW_KEYS";
/// Constant of the object: jiffies of a tick, as a power of two.
pub const TICK_SHIFT: &str = "TICK_SHIFT";
/// Constant of the object: microseconds of a jiffy.
pub const JIFFY_US: &str = "JIFFY_US";
/// Constant of the object: 1 = [`PROGRAMS`] may hold a program.
pub const ANSWERS: &str = "ANSWERS";
/// Constant of the object: 1 = [`FORM_PROGRAMS`] may hold programs.
pub const JUMPS: &str = "JUMPS";
/// Constant of the object: 1 = [`WATCH_PROGRAMS`] may hold programs.
pub const WATCHABLE: &str = "WATCHABLE";
/// Constant of an object that reports: its place among the watchers.
pub const WATCHER: &str = "WATCHER";
/// Constant of an object that reports: the most bytes of a frame, a multiple of 8.
pub const SNAP: &str = "SNAP";
/// Constant of an object that reports: events per CPU and window, 0 = as many as there are.
pub const BUDGET: &str = "BUDGET";
/// Constant of an object that reports: the only services, as rows + 1; 0 = any.
pub const SERVICES: &str = "SERVICES";
/// Constant of the object: 1 = the kernel tells the MTU of an interface.
pub const ASKS_MTU: &str = "ASKS_MTU";
/// Constant of the object: 1 = the time in jiffies stands in the switch map, for tests.
pub const FIXED_CLOCK: &str = "FIXED_CLOCK";
/// Constant of the object: 1 = answer with reason and rule, and write nothing.
pub const EXPLAIN: &str = "EXPLAIN";
/// Constant of the object: the interface that an explained packet arrives on.
pub const EXPLAIN_IFINDEX: &str = "EXPLAIN_IFINDEX";
