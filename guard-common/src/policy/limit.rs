//! Stage 6: limits per source. What a rule with a limit lets in costs its source something: a new TCP
//! connection (a SYN), a new UDP conversation, or every packet, as the limit says. A source that owes too much waits.
//! Segments of TCP are charged only when they are part of a session, so that nobody spends what another one has.
//! SYNs, which anybody can forge, are charged beside them where packets are counted: as many in number, from an
//! allowance of their own.
//!
//! The measure is GCRA: a source has one number, the time at which everything that it opened is paid
//! for. Only what passes writes, so a flood above the limit is read and not written. The price is
//! added to that number (one instruction that no CPU interrupts), so that CPUs which let packets of
//! one source pass at once both count; only a source that owes nothing is written anew, and may
//! then get a packet per CPU for the price of one.

use super::{
    Found, MeterBucket, Searches, flow,
    slot::{Slot, split},
    tuple_of,
};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, Tuple},
        image::{HEADER_LIMITS, HEADER_METERS},
        meter::{
            self, BOTH_WAYS_SECONDS, Key, Meter, MeterEntry, MeterPart, MeterSlot, ONE_WAY_SECONDS,
            Scale, WAYS,
        },
        reason::{Reason, Verdict},
        rule::RuleRef,
    },
    packet::{Packet, Transport},
};

/// A packet that a limit may be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// First word of the policy's slot.
    pub base: u32,
    /// The rule that lets it in.
    pub rule: RuleRef,
    /// Its source.
    pub source: Addr,
    /// Port of the source (high half) and ours.
    pub ports: u32,
    /// A SYN; else a datagram or, where packets are counted, any other packet.
    pub opens: bool,
}

impl NewConnection {
    /// Between these ends.
    #[inline(always)]
    pub(super) const fn of(base: u32, rule: RuleRef, ends: &Tuple, opens: bool) -> Self {
        Self {
            base,
            rule,
            source: ends.remote,
            ports: pair(ends.remote_port, ends.local_port),
            opens,
        }
    }
}

/// Does the limit of a rule count every packet?
#[inline(always)]
pub(super) fn counts_packets<T: Searches>(policy: &Slot<'_, T>, rule: RuleRef) -> bool {
    rule.is_limited() && meter(policy, rule).counts_packets()
}

/// What becomes of the verdict when the limit of its rule is asked.
#[inline(always)]
pub(super) fn within<T: Searches>(
    tables: &T,
    base: u32,
    packet: &Packet,
    opens: bool,
    verdict: Verdict,
) -> Verdict {
    if !verdict.rule.is_limited() {
        return verdict;
    }
    let policy = &Slot::at(tables, base);
    let ports = match packet.transport() {
        Transport::Tcp {
            source_port,
            destination_port,
            ..
        } if opens || is_counted_segment(tables, policy, packet, verdict.rule) => {
            pair(source_port, destination_port)
        }
        Transport::Udp {
            source_port,
            destination_port,
        } => pair(source_port, destination_port),
        Transport::Icmp { .. } | Transport::Icmpv6 { .. }
            if counts_packets(policy, verdict.rule) =>
        {
            0
        }
        Transport::Tcp { .. }
        | Transport::Icmp { .. }
        | Transport::Icmpv6 { .. }
        | Transport::Other
        | Transport::None => return verdict,
    };
    let connection = NewConnection {
        base,
        rule: verdict.rule,
        source: packet.source(),
        ports,
        opens,
    };
    if tables.is_within_limit(connection) {
        return verdict;
    }
    Verdict {
        rule: verdict.rule,
        ..Verdict::of(Reason::Limited)
    }
}

/// Is a segment charged, which a rule lets in?
#[inline(always)]
fn is_counted_segment<T: Searches>(
    tables: &T,
    policy: &Slot<'_, T>,
    packet: &Packet,
    rule: RuleRef,
) -> bool {
    if !counts_packets(policy, rule) {
        return false;
    }
    let Some(tuple) = tuple_of(packet) else {
        return false;
    };
    let marks = tables.port_marks(tuple.local_port);
    let found = flow::find(tables, &tuple, marks, Event::Arrives);
    matches!(found, Found::Living | Found::Session)
}

#[inline(always)]
pub(super) const fn pair(theirs: u16, ours: u16) -> u32 {
    (theirs as u32) << 16 | ours as u32
}

/// May this packet pass, which a rule with a limit lets in? Charges its source.
#[inline(always)]
pub fn is_within_limit<T: Searches>(tables: &T, connection: NewConnection) -> bool {
    if connection.opens
        && let Some(is_within) = is_syn_within_packets(tables, connection)
    {
        return is_within;
    }
    let policy = &Slot::at(tables, connection.base);
    let scale = Scale::from_word(policy.word(HEADER_LIMITS));
    let now = meter::time(tables.jiffies());
    let one_way = scale.second().wrapping_mul(ONE_WAY_SECONDS);
    let meter = meter(policy, connection.rule);
    let is_conversation = !connection.opens && !meter.counts_packets();
    if is_conversation && goes_on(tables, connection.source, connection.ports, now, one_way) {
        return true;
    }
    let source = scale.source(connection.source);
    let debt = debts(source, meter.number);
    let block = u64::from(meter.block).wrapping_mul(scale.second());
    if charge(tables, debt, meter, now, block) {
        if is_conversation {
            let key = conversation(connection.source, connection.ports);
            write(tables, key, now, one_way);
        }
        return true;
    }
    // Whoever has a session here may open more, for it is not he who floods in his name; but whoever shares an
    // address with him, or forges it, may not open as many as he likes.
    // At the fastest rate a connection still costs a few units.
    let interval = meter.interval.div_ceil(EXEMPT_SHARE);
    let share = Meter {
        interval,
        tolerance: meter.tolerance + u64::from(interval * (EXEMPT_SHARE - 1)),
        ..meter
    };
    // As above: the halves that it was hashed by.
    let source = Addr::from_halves(T::hide(source.hi()), T::hide(source.lo()));
    connection.opens
        && is_exempt(tables, source, connection.ports as u16, now)
        && charge(tables, beside(debts(source, meter.number)), share, now, 0)
}

/// May this SYN pass, if its limit counts packets? Anybody can forge it, so it takes nothing from the sessions of its
/// source. `None`: it counts connections.
#[inline(always)]
fn is_syn_within_packets<T: Searches>(tables: &T, connection: NewConnection) -> Option<bool> {
    // The policy is read anew for what follows: kept, it would take more of the stack than a call chain has left.
    let base = T::hide(u64::from(connection.base)) as u32;
    let policy = &Slot::at(tables, base);
    let meter = meter(policy, connection.rule);
    if !meter.counts_packets() {
        return None;
    }
    let scale = Scale::from_word(policy.word(HEADER_LIMITS));
    let now = meter::time(tables.jiffies());
    let debt = debts(scale.source(connection.source), meter.number);
    // While segments of its sessions are too many, and wait or are blocked, it opens no others.
    Some(owed(tables, debt, now) <= meter.tolerance && charge(tables, beside(debt), meter, now, 0))
}

/// What a source owes a meter.
#[inline(always)]
const fn debts(source: Addr, about: u32) -> Key {
    Key {
        part: MeterPart::Debts,
        source,
        about,
    }
}

/// What a source owes beside that: of a meter that counts connections what it opens as one that is exempt, of one that
/// counts packets its SYNs.
#[inline(always)]
const fn beside(debt: Key) -> Key {
    Key {
        about: !debt.about,
        ..debt
    }
}

/// How many times its limit, burst and rate, a source that has a session may open beside it: what an office behind
/// one address loses at once comes back soon, and a flood in its name stays a trickle.
const EXEMPT_SHARE: u32 = 4;

/// Takes note of a datagram on its way out, whose answers a rule with a limit lets in: they are part of a
/// conversation that this host has.
#[inline(always)]
pub fn note_reply<T: Searches>(tables: &T, base: u32, remote: Addr, ports: u32) {
    let policy = &Slot::at(tables, base);
    let second = Scale::from_word(policy.word(HEADER_LIMITS)).second();
    let now = meter::time(tables.jiffies());
    let lifetime = second.wrapping_mul(BOTH_WAYS_SECONDS);
    if !goes_on(tables, remote, ports, now, lifetime) {
        write(tables, conversation(remote, ports), now, lifetime);
    }
}

/// The meter of a rule.
#[inline(always)]
fn meter<T: Searches>(policy: &Slot<'_, T>, rule: RuleRef) -> Meter {
    let (first, _) = split(policy.word(HEADER_METERS));
    let at = first.wrapping_add(rule.index().wrapping_mul(Meter::WORDS));
    Meter::from_words(policy.word(at), policy.word(at.wrapping_add(1)))
}

/// How much a source owes, in units.
#[inline(always)]
fn owed<T: Searches>(tables: &T, key: Key, now: u64) -> u64 {
    let place = key.place(|index| tables.flow_key(index));
    let found = tables.find_entry(place, now);
    ahead_of(&tables.meter_bucket(place.bucket), found, now)
}

/// How far ahead the time of a key lies, in units.
#[inline(always)]
fn ahead_of<B: MeterBucket>(bucket: &B, found: MeterWay, now: u64) -> u64 {
    if !found.is_own() {
        return 0;
    }
    MeterEntry::from_word(bucket.load(found.way())).ahead(now)
}

/// Does a source owe little enough to open one more? If so, it owes one more; if not, it owes as much as lasts for
/// `block`.
#[inline(always)]
fn charge<T: Searches>(tables: &T, key: Key, meter: Meter, now: u64, block: u64) -> bool {
    let place = key.place(|index| tables.flow_key(index));
    let bucket = tables.meter_bucket(place.bucket);
    let found = tables.find_entry(place, now);
    let way = found.way();
    let debt = ahead_of(&bucket, found, now);
    if debt > meter.tolerance {
        // A block begins with the first packet that is too much, and not anew with each that follows: whoever owes more
        // than one packet can bring about is blocked already.
        if debt <= meter.most_owed() && debt < block {
            let entry = MeterEntry::new(place.tag, now, block);
            bucket.store(way, entry.to_word());
        }
        return false;
    }
    let price = u64::from(meter.interval);
    if debt == 0 {
        let entry = MeterEntry::new(place.tag, now, price);
        bucket.store(way, entry.to_word());
    } else {
        bucket.add(way, price);
    }
    true
}

/// Does a conversation go on? Then it is renewed, unless it was lately.
#[inline(always)]
fn goes_on<T: Searches>(tables: &T, remote: Addr, ports: u32, now: u64, lifetime: u64) -> bool {
    let place = conversation(remote, ports).place(|index| tables.flow_key(index));
    let bucket = tables.meter_bucket(place.bucket);
    let found = tables.find_entry(place, now);
    if !found.is_own() {
        return false;
    }
    let ahead = MeterEntry::from_word(bucket.load(found.way())).ahead(now);
    if ahead == 0 {
        return false;
    }
    if ahead < lifetime - lifetime / 8 {
        let entry = MeterEntry::new(place.tag, now, lifetime);
        bucket.store(found.way(), entry.to_word());
    }
    true
}

#[inline(always)]
fn conversation(remote: Addr, ports: u32) -> Key {
    Key {
        part: MeterPart::Conversations,
        source: remote,
        about: ports,
    }
}

/// Is there a session of this source with this port of ours?
#[inline(always)]
fn is_exempt<T: Searches>(tables: &T, source: Addr, port: u16, now: u64) -> bool {
    let place = exempt_key(source, port).place(|index| tables.flow_key(index));
    let found = tables.find_entry(place, now);
    let word = tables.meter_bucket(place.bucket).load(found.way());
    found.is_own() && MeterEntry::from_word(word).ahead(now) != 0
}

/// The key of a source that has a session with a port of ours.
#[inline(always)]
#[must_use]
pub const fn exempt_key(source: Addr, port: u16) -> Key {
    Key {
        part: MeterPart::Exempt,
        source,
        about: port as u32,
    }
}

/// Writes the word of a key, in the place of the one that says least.
#[inline(always)]
fn write<T: Searches>(tables: &T, key: Key, now: u64, ahead: u64) {
    let place = key.place(|index| tables.flow_key(index));
    let found = tables.find_entry(place, now);
    let entry = MeterEntry::new(place.tag, now, ahead);
    tables
        .meter_bucket(place.bucket)
        .store(found.way(), entry.to_word());
}

/// Where in its bucket a key is, or may go, in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterWay(u32);

impl MeterWay {
    const OWN: u32 = WAYS as u32;

    /// As returned between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As returned between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Place in the bucket.
    #[inline(always)]
    #[must_use]
    pub const fn way(self) -> usize {
        self.0 as usize & (WAYS - 1)
    }

    /// Is the key there already? Else the word there gives way: the one whose time is over, or
    /// nearest.
    #[inline(always)]
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.0 & Self::OWN != 0
    }
}

/// Looks a tag up in a bucket.
#[inline(always)]
pub fn find_entry<B: MeterBucket>(bucket: &B, tag: u32, now: u64) -> MeterWay {
    for way in 0..WAYS {
        if MeterEntry::from_word(bucket.load(way)).tag() == tag {
            return MeterWay(MeterWay::OWN | way as u32);
        }
    }
    // The least of eight in numbers alone: a comparison that jumps would be 2^8 ways to the verifier.
    let mut least = u64::MAX >> 1;
    for way in 0..WAYS {
        let ahead = MeterEntry::from_word(bucket.load(way)).ahead(now);
        let candidate = B::hide(ahead << WAY_BITS | way as u64);
        let is_less = B::hide(((candidate.wrapping_sub(least)) as i64 >> 63) as u64);
        least = least.wrapping_add(candidate.wrapping_sub(least) & is_less);
    }
    MeterWay(least as u32 & (WAYS as u32 - 1))
}

/// Bits of a place in a bucket.
const WAY_BITS: u32 = WAYS.trailing_zeros();

/// Puts a key into a bucket of user space's: as [`write`] in the kernel.
pub fn put<B: MeterBucket>(bucket: &B, place: MeterSlot, now: u64, ahead: u64) {
    let found = find_entry(bucket, place.tag, now);
    bucket.store(
        found.way(),
        MeterEntry::new(place.tag, now, ahead).to_word(),
    );
}
