//! Searches behind global functions, which the verifier checks once, alone, and not once per way that leads to
//! them.

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use guard_common::{
    abi::{
        addr::Addr,
        ban::Cell,
        flow::{Event, Tag},
        image::Tree,
        meter,
        rule::RuleRef,
    },
    packet::{PacketReader, quoted},
    policy::{
        CeilingQuery, Circumstances, Found, MeterWay, NewConnection, Relation, RuleLookup,
        RulesAnswer, Scratch, Searches, begin_flow, conditions, evaluate_rules, find_ban,
        find_entry, find_flow, has_sent_before, interface_class, is_banned, is_ceiling_exceeded,
        is_in_banned_prefix, is_known, is_on_never_list, is_prefix_ceiling_exceeded,
        is_within_limit, longest_prefix, note_reply, relation, scope_of,
    },
};

use crate::{entries, maps, reader::FrameReader, tables::BpfTables};

impl Searches for BpfTables {
    #[inline(always)]
    fn relation<R: PacketReader + ?Sized>(&self, _: &R, _: &Scratch) -> Relation {
        Relation::from_number(guard_relation(self.context(), self.cpu()))
    }

    #[inline(always)]
    fn quoted<R: PacketReader + ?Sized>(&self, _: &R, _: &Scratch) -> bool {
        guard_quoted(self.context(), self.cpu()) != 0
    }

    #[inline(always)]
    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32 {
        guard_prefix(addr.hi(), addr.lo(), base, tree as u32, default)
    }

    #[inline(always)]
    fn source_class_v4(&self, base: u32, source: u32) -> u32 {
        guard_prefix_v4(source, base)
    }

    #[inline(always)]
    fn find_flow(&self, tag: Tag, event: Event) -> Found {
        Found::from_number(guard_find_flow(tag.bits(), event.number()))
    }

    #[inline(always)]
    fn begin_flow(&self, tag: Tag, event: Event, local_port: u16) {
        guard_begin_flow(tag.bits(), event.number(), u32::from(local_port));
    }

    #[inline(always)]
    fn interface_class(&self, base: u32, ifindex: u32) -> u32 {
        guard_interface(base, ifindex)
    }

    #[inline(always)]
    fn scope_of(&self, packet: Circumstances) -> u32 {
        guard_scope(
            packet.base,
            packet.flags | u32::from(packet.source_port) << 16,
            packet.ifindex,
            packet.destination_class,
        )
    }

    #[inline(always)]
    fn conditions(&self, base: u32, source_port: u16) -> u32 {
        guard_conditions(base, u32::from(source_port))
    }

    #[inline(always)]
    fn is_on_never_list(&self, base: u32, flags: u32, source: Addr) -> bool {
        guard_never(source.hi(), source.lo(), base, flags) != 0
    }

    #[inline(always)]
    fn evaluate_rules(&self, lookup: RuleLookup) -> RulesAnswer {
        RulesAnswer::from_bits(guard_rules(
            lookup.base,
            lookup.flags | lookup.group << 16,
            lookup.class,
            lookup.scopes,
            lookup.scope,
        ))
    }

    #[inline(always)]
    fn has_sent_before(&self, source: Addr, port: u16) -> bool {
        guard_sent_before(source.hi(), source.lo(), u32::from(port)) != 0
    }

    #[inline(always)]
    fn is_ceiling_exceeded(&self, query: CeilingQuery, source: Addr) -> bool {
        {
            let packed = u32::from(query.port) | query.flags << 16;
            guard_ceiling_exceeded(source.hi(), source.lo(), query.base, packed, query.local) != 0
        }
    }

    #[inline(always)]
    fn is_known(&self, source: Addr) -> bool {
        guard_is_known(source.hi(), source.lo()) != 0
    }

    #[inline(always)]
    fn is_prefix_ceiling_exceeded(&self, base: u32, prefix: u64, port: u16) -> bool {
        guard_prefix_exceeded(prefix, base, u32::from(port)) != 0
    }

    #[inline(always)]
    fn find_entry(&self, place: meter::MeterSlot, now: u64) -> MeterWay {
        MeterWay::from_bits(guard_entry(place.bucket, place.tag, now))
    }

    #[inline(always)]
    fn is_within_limit(&self, connection: NewConnection) -> bool {
        guard_limit(
            connection.source.hi(),
            connection.source.lo(),
            connection.base,
            connection.rule.bits() | u32::from(connection.opens) << 31,
            connection.ports,
        ) != 0
    }

    #[inline(always)]
    fn note_reply(&self, base: u32, remote: Addr, ports: u32) {
        guard_note_reply(remote.hi(), remote.lo(), base, ports);
    }

    #[inline(always)]
    fn find_ban(&self, prefix: Addr, level: u32) -> Cell {
        Cell::from_bits(guard_find_ban(prefix.hi(), prefix.lo(), level))
    }

    #[inline(always)]
    fn is_banned(&self, source: Addr) -> bool {
        guard_is_banned(source.hi(), source.lo()) != 0
    }

    #[inline(always)]
    fn is_in_banned_prefix(&self, source: Addr) -> bool {
        guard_is_in_banned_prefix(source.hi(), source.lo()) != 0
    }
}

/// The search for a ban of a source.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_is_banned(hi: u64, lo: u64) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(is_banned(&tables, Addr::from_halves(hi, lo)))
}

/// The search for a ban of a prefix that holds a source.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_is_in_banned_prefix(hi: u64, lo: u64) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(is_in_banned_prefix(&tables, Addr::from_halves(hi, lo)))
}

/// The search for a prefix in the set of bans.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_find_ban(hi: u64, lo: u64, level: u32) -> u32 {
    let tables = BpfTables::without_packet();
    find_ban(&tables, Addr::from_halves(hi, lo), level).bits()
}

/// The search for the longest prefix.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_prefix(hi: u64, lo: u64, base: u32, tree: u32, default: u32) -> u32 {
    let tree = Tree::from_number(tree);
    let tables = BpfTables::without_packet();
    longest_prefix(&tables, base, Addr::from_halves(hi, lo), tree, default)
}

/// The same for an IPv4 source.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_prefix_v4(source: u32, base: u32) -> u32 {
    let (tables, source) = (BpfTables::without_packet(), Addr::from_v4(source));
    longest_prefix(&tables, base, source, Tree::SourceV4, 0)
}

/// The search for a flow.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_find_flow(tag: u64, event: u32) -> u32 {
    let tables = BpfTables::without_packet();
    find_flow(&tables, Tag::from_bits(tag), Event::from_number(event)) as u32
}

/// A new entry for a flow.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_begin_flow(tag: u64, event: u32, local_port: u32) -> u32 {
    let tables = BpfTables::without_packet();
    let event = Event::from_number(event);
    begin_flow(&tables, Tag::from_bits(tag), event, local_port as u16);
    0
}

/// The class of an interface.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_interface(base: u32, ifindex: u32) -> u32 {
    interface_class(&BpfTables::without_packet(), base, ifindex)
}

/// The scope of a packet.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_scope(base: u32, packed: u32, ifindex: u32, destination_class: u32) -> u32 {
    let packet = Circumstances {
        base,
        flags: packed & 0xffff,
        source_port: (packed >> 16) as u16,
        ifindex,
        destination_class,
    };
    scope_of(&BpfTables::without_packet(), packet)
}

/// The ends that have passed, and the class of a source port.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_conditions(base: u32, source_port: u32) -> u32 {
    conditions(&BpfTables::without_packet(), base, source_port as u16)
}

/// The never list.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_never(hi: u64, lo: u64, base: u32, flags: u32) -> u32 {
    let (tables, source) = (BpfTables::without_packet(), Addr::from_halves(hi, lo));
    u32::from(is_on_never_list(&tables, base, flags, source))
}

/// The rules.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_rules(base: u32, packed: u32, class: u32, scopes: u32, scope: u32) -> u32 {
    let lookup = RuleLookup {
        base,
        flags: packed & 0xffff,
        group: packed >> 16,
        class,
        scopes,
        scope,
    };
    evaluate_rules(&BpfTables::without_packet(), lookup).bits()
}

/// What an ICMP error quotes.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_quoted(ctx: *mut xdp_md, cpu: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let Some(scratch) = maps::scratch(cpu) else {
        return 0;
    };
    u32::from(quoted(&reader, &scratch.packet, &scratch.answer))
}

/// What the packet in the scratch is part of.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_relation(ctx: *mut xdp_md, cpu: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return Relation::Nothing as u32;
    };
    let ctx = XdpContext::new(ctx);
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::arriving(&ctx, cpu));
    relation(&reader, &tables, scratch) as u32
}

/// A source that repeats itself.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_sent_before(hi: u64, lo: u64, port: u32) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(has_sent_before(
        &tables,
        Addr::from_halves(hi, lo),
        port as u16,
    ))
}

/// A prefix of which somebody has completed a handshake.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_is_known(hi: u64, lo: u64) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(is_known(&tables, Addr::from_halves(hi, lo)))
}

/// A ceiling that is exceeded.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_ceiling_exceeded(hi: u64, lo: u64, base: u32, packed: u32, local: u32) -> u32 {
    let query = CeilingQuery {
        base,
        flags: packed >> 16,
        port: packed as u16,
        local,
    };
    let tables = BpfTables::without_packet();
    u32::from(is_ceiling_exceeded(
        &tables,
        query,
        Addr::from_halves(hi, lo),
    ))
}

/// The part of a ceiling that a source prefix has.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_prefix_exceeded(prefix: u64, base: u32, port: u32) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(is_prefix_ceiling_exceeded(
        &tables,
        base,
        prefix,
        port as u16,
    ))
}

/// A tag in its bucket.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_entry(index: u32, tag: u32, now: u64) -> u32 {
    find_entry(&entries::bucket(index), tag, now).bits()
}

/// The limit of a rule; `packed` is the rule, and in its highest bit whether the packet is a SYN.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_limit(hi: u64, lo: u64, base: u32, packed: u32, ports: u32) -> u32 {
    let connection = NewConnection {
        base,
        rule: RuleRef::from_bits(packed & (u32::MAX >> 1)),
        source: Addr::from_halves(hi, lo),
        ports,
        opens: packed >> 31 != 0,
    };
    u32::from(is_within_limit(&BpfTables::without_packet(), connection))
}

/// A datagram that answers.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_note_reply(hi: u64, lo: u64, base: u32, ports: u32) -> u32 {
    let remote = Addr::from_halves(hi, lo);
    note_reply(&BpfTables::without_packet(), base, remote, ports);
    0
}
