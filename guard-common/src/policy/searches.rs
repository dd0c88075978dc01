//! Searches that the kernel puts behind a call of their own: its verifier follows each of them once, alone,
//! and not once per way that leads there. The model has no reason to do so.

use crate::abi::{
    addr::Addr,
    ban::Cell,
    flow::{Event, Tag},
    image::Tree,
    meter,
};

use super::{
    CeilingQuery, Circumstances, Found, MeterWay, NewConnection, Relation, RuleLookup, RulesAnswer,
    Scratch, Tables,
};
use crate::packet::PacketReader;

/// Searches in [`Tables`]. Whatever an implementation puts around them, they answer as these do.
pub trait Searches: Tables + Sized {
    /// [`super::relation`].
    #[inline(always)]
    fn relation<R: PacketReader + ?Sized>(&self, reader: &R, scratch: &Scratch) -> Relation {
        super::relation(reader, self, scratch)
    }

    /// [`crate::packet::quoted`].
    #[inline(always)]
    fn quoted<R: PacketReader + ?Sized>(&self, reader: &R, scratch: &Scratch) -> bool {
        crate::packet::quoted(reader, &scratch.packet, &scratch.answer)
    }

    /// [`super::longest_prefix`]. The kernel's implementation puts it behind a call of its own, so
    /// that its verifier follows the search once and not once per way that leads there.
    #[inline(always)]
    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32 {
        super::longest_prefix(self, base, addr, tree, default)
    }

    /// The class of an IPv4 source: the same in less of the kernel's stack.
    #[inline(always)]
    fn source_class_v4(&self, base: u32, source: u32) -> u32 {
        self.longest_prefix(base, Addr::from_v4(source), Tree::SourceV4, 0)
    }

    /// [`super::find_flow`].
    #[inline(always)]
    fn find_flow(&self, tag: Tag, event: Event) -> Found {
        super::find_flow(self, tag, event)
    }

    /// [`super::begin_flow`].
    #[inline(always)]
    fn begin_flow(&self, tag: Tag, event: Event, local_port: u16) {
        super::begin_flow(self, tag, event, local_port);
    }

    /// [`super::interface_class`].
    #[inline(always)]
    fn interface_class(&self, base: u32, ifindex: u32) -> u32 {
        super::interface_class(self, base, ifindex)
    }

    /// [`super::scope_of`].
    #[inline(always)]
    fn scope_of(&self, packet: Circumstances) -> u32 {
        super::scope_of(self, packet)
    }

    /// [`super::conditions`].
    #[inline(always)]
    fn conditions(&self, base: u32, source_port: u16) -> u32 {
        super::conditions(self, base, source_port)
    }

    /// [`super::is_on_never_list`].
    #[inline(always)]
    fn is_on_never_list(&self, base: u32, flags: u32, source: Addr) -> bool {
        super::is_on_never_list(self, base, flags, source)
    }

    /// [`super::evaluate_rules`].
    #[inline(always)]
    fn evaluate_rules(&self, lookup: RuleLookup) -> RulesAnswer {
        super::evaluate_rules(self, lookup)
    }

    /// [`super::is_ceiling_exceeded`].
    #[inline(always)]
    fn is_ceiling_exceeded(&self, query: CeilingQuery, source: Addr) -> bool {
        super::is_ceiling_exceeded(self, query, source)
    }

    /// [`super::has_sent_before`].
    #[inline(always)]
    fn has_sent_before(&self, source: Addr, port: u16) -> bool {
        super::has_sent_before(self, source, port)
    }

    /// [`super::is_known`].
    #[inline(always)]
    fn is_known(&self, source: Addr) -> bool {
        super::is_known(self, source)
    }

    /// [`super::is_prefix_ceiling_exceeded`].
    #[inline(always)]
    fn is_prefix_ceiling_exceeded(&self, base: u32, prefix: u64, port: u16) -> bool {
        super::is_prefix_ceiling_exceeded(self, base, prefix, port)
    }

    /// [`super::find_entry`].
    #[inline(always)]
    fn find_entry(&self, place: meter::MeterSlot, now: u64) -> MeterWay {
        super::find_entry(&self.meter_bucket(place.bucket), place.tag, now)
    }

    /// [`super::is_within_limit`].
    #[inline(always)]
    fn is_within_limit(&self, connection: NewConnection) -> bool {
        super::is_within_limit(self, connection)
    }

    /// [`super::note_reply`].
    #[inline(always)]
    fn note_reply(&self, base: u32, remote: Addr, ports: u32) {
        super::note_reply(self, base, remote, ports);
    }

    /// [`super::find_ban`].
    #[inline(always)]
    fn find_ban(&self, prefix: Addr, level: u32) -> Cell {
        super::find_ban(self, prefix, level)
    }

    /// [`super::is_banned`].
    #[inline(always)]
    fn is_banned(&self, source: Addr) -> bool {
        super::is_banned(self, source)
    }

    /// [`super::is_in_banned_prefix`].
    #[inline(always)]
    fn is_in_banned_prefix(&self, source: Addr) -> bool {
        super::is_in_banned_prefix(self, source)
    }
}
