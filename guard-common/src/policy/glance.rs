//! A glance at a frame: what floods are made of, an IPv4 packet without tags, options or fragments, TCP
//! or UDP, is read in one piece, and most of what becomes of those is told before anything is called: of
//! sources that are banned by their address, and of those that no rule names, where neither a limit
//! nor a flow has a say.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Judgement, Opening, Searches, Slot, SpentPlace, ban, classify,
    essential::DHCP_CLIENT,
    flow, is_spent,
    rules::{self, ServiceEntry},
    tcp,
};
use crate::{
    abi::{
        addr::Addr,
        ceiling,
        image::{ANY_ALLOWS, BY_SOURCE, DEFAULT_ALLOW, MONITOR},
        reason::{Action, Reason, Verdict},
        service::{Service, protocol},
        switch::SlotState,
    },
    packet::{
        ETHERNET_LEN, Ethernet, Head, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET, IPV4_PLAIN, Ipv4,
        PacketReader, TCP_LEN, TcpFlags, UDP_LEN,
    },
};

/// What is read of a frame in one piece: Ethernet, IPv4 without options, and what of TCP or UDP must be known.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct Headers {
    ethernet: Ethernet,
    ip: Ipv4,
    head: Head,
}

const IPV4: [u8; 2] = [0x08, 0x00];
/// Sources from 1.0.0.0 on, up to 223.255.255.255.
const FIRST_SOURCE: u32 = 1 << 24;
const SOURCES: u32 = 223 << 24;
/// The first octet of a loopback address.
const LOOPBACK: u32 = 127;
/// More fragments, and the offset.
const FRAGMENT: u16 = IPV4_MORE_FRAGMENTS | IPV4_OFFSET;

/// What is made of an outcome. The kernel makes its record of each at the place where it is known, where most
/// of it is a constant.
pub trait Outcome: Sized {
    /// Of a packet with this reason, without the number of a rule; in monitor mode it passes.
    fn told(reason: Reason, service: Service, opening: Opening, is_monitor: bool) -> Self;
}

impl Outcome for Judgement {
    #[inline(always)]
    fn told(reason: Reason, service: Service, opening: Opening, is_monitor: bool) -> Self {
        let mut verdict = Verdict::of(reason);
        if is_monitor {
            verdict.action = Action::Pass;
        }
        Self {
            verdict,
            service: Some(service),
            opening,
        }
    }
}

/// What a glance tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance<O> {
    /// What becomes of the frame.
    Told(O),
    /// It is a plain packet, and nobody banned sent it.
    Plain(Plain),
    /// It takes the whole way.
    Nothing,
}

/// What is known of a plain packet behind a glance, in numbers that fit a call between BPF functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its source.
    pub source: u32,
    /// [`Asked`].
    pub asked: u32,
    /// The policy in force (11 bits), whether some prefix of its rules may hold the source (1), entry of
    /// the service (the upper half).
    pub policy: u32,
}

impl Plain {
    const NAMED: u32 = 1 << SlotState::BITS;
    const ENTRY_SHIFT: u32 = 16;
    const STATE: u32 = Self::NAMED - 1;

    #[inline(always)]
    pub(super) fn state(self) -> SlotState {
        SlotState::from_bits(self.policy & Self::STATE)
    }

    #[inline(always)]
    pub(super) const fn entry(self) -> ServiceEntry {
        ServiceEntry::from_bits(self.policy >> Self::ENTRY_SHIFT)
    }

    #[inline(always)]
    pub(super) const fn may_be_named(self) -> bool {
        self.policy & Self::NAMED != 0
    }

    #[inline(always)]
    pub(super) const fn asked(self) -> Asked {
        Asked(self.asked)
    }
}

/// What a plain packet asks for, in one number, so that it takes one register of the few that a call
/// leaves alone: `port (16 bits) | UDP (1) | SYN (1)`.
#[derive(Clone, Copy)]
pub(super) struct Asked(u32);

impl Asked {
    const UDP: u32 = 1 << 16;
    const OPENS: u32 = 1 << 17;

    #[inline(always)]
    pub(super) const fn opens(self) -> bool {
        self.0 & Self::OPENS != 0
    }

    #[inline(always)]
    pub(super) const fn is_udp(self) -> bool {
        self.0 & Self::UDP != 0
    }

    /// Is it what limits count?
    #[inline(always)]
    pub(super) const fn is_charged(self) -> bool {
        self.0 & (Self::UDP | Self::OPENS) != 0
    }

    #[inline(always)]
    pub(super) const fn protocol(self) -> u8 {
        if self.is_udp() {
            protocol::UDP
        } else {
            protocol::TCP
        }
    }

    #[inline(always)]
    pub(super) const fn port(self) -> u16 {
        self.0 as u16
    }

    /// Of one that is let in.
    #[inline(always)]
    pub(super) fn opening<T: Searches>(self, tables: &T) -> Opening {
        if self.opens() {
            Opening::plain_v4(tables.port_marks(self.port()))
        } else {
            Opening::NONE
        }
    }

    #[inline(always)]
    pub(super) const fn service(self) -> Service {
        Service::of_port(self.0 & (Self::OPENS - 1))
    }
}

/// The ends of a plain packet's conversation, read again where they are wanted: keeping them costs more.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub destination: u32,
    pub source_port: u16,
}

impl Ends {
    #[inline(always)]
    pub(super) fn read<R: PacketReader + ?Sized>(reader: &R) -> Option<Self> {
        let headers: Headers = reader.read(0)?;
        Some(Self {
            destination: u32::from_be_bytes(headers.ip.destination),
            source_port: u16::from_be_bytes(headers.head.source_port),
        })
    }
}

/// Looks at a frame.
#[inline(always)]
pub(super) fn glance<R, T, O>(reader: &R, tables: &T, state: SlotState) -> Glance<O>
where
    R: PacketReader + ?Sized,
    T: Searches,
    O: Outcome,
{
    let Some(headers) = reader.read::<Headers>(0) else {
        return Glance::Nothing;
    };
    if headers.ethernet.ether_type != IPV4
        || headers.ip.version_ihl != IPV4_PLAIN
        || headers.ip.fragment_field() & FRAGMENT != 0
    {
        return Glance::Nothing;
    }
    let total_len = usize::from(u16::from_be_bytes(headers.ip.total_len));
    if ETHERNET_LEN + total_len > reader.len() {
        return Glance::Nothing;
    }
    let source = u32::from_be_bytes(headers.ip.source);
    let local = u32::from_be_bytes(headers.ip.destination);
    // Martians, or nearly.
    if source.wrapping_sub(FIRST_SOURCE) >= SOURCES || source >> 24 == LOOPBACK {
        return Glance::Nothing;
    }
    let port = u16::from_be_bytes(headers.head.destination_port);
    let kind = match headers.ip.protocol {
        protocol::TCP => {
            let header_len = headers.head.tcp_header_len();
            let flags = TcpFlags(headers.head.flags);
            if header_len < TCP_LEN || IPV4_LEN + header_len > total_len || !tcp::is_possible(flags)
            {
                return Glance::Nothing;
            }
            if flags.opens() { Asked::OPENS } else { 0 }
        }
        protocol::UDP => {
            let len = usize::from(u16::from_be_bytes(headers.head.udp_len));
            if len < UDP_LEN || IPV4_LEN + len > total_len || port == DHCP_CLIENT {
                return Glance::Nothing;
            }
            Asked::UDP
        }
        _ => return Glance::Nothing,
    };
    // Behind the hiding the compiler keeps this one and nothing that it is made of.
    let asked = hidden::<T>(Asked(kind | u32::from(port)));
    let flags = state.flags();
    if asked.opens() {
        let policy = &Slot::of(tables, state);
        if flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
            && ServiceEntry::of(policy, asked.service()).is_none()
        {
            return told(Reason::DefaultDrop, asked, flags);
        }
        let place = SpentPlace {
            base: policy.base(),
            flags,
            port: asked.port(),
            local: ceiling::fold(Addr::from_v4(local)),
        };
        if is_spent(tables, place, Addr::from_v4(source)) {
            return told(Reason::Ceiling, asked, flags);
        }
    }
    if ban::cuts_v4(tables, state, source) {
        return told(Reason::Banned, asked, flags);
    }
    // Made here, because a packet of a banned source needs none of it.
    let policy = &Slot::of(
        tables,
        SlotState::from_bits(T::hide(u64::from(state.bits())) as u32),
    );
    let asked = hidden::<T>(asked);
    // Of a SYN read a second time, which costs less than keeping it past the bans.
    let entry = ServiceEntry::of(policy, asked.service());
    if flags & rules::NOT_SIMPLE != 0 {
        return Glance::Nothing;
    }
    let may_be_named =
        flags & BY_SOURCE != 0 && classify::may_be_named(policy, Addr::from_v4(source));
    let plain = Plain {
        source,
        asked: asked.0,
        policy: state.bits() | entry.bits() << Plain::ENTRY_SHIFT,
    };
    if may_be_named {
        return Glance::Plain(Plain {
            policy: plain.policy | Plain::NAMED,
            ..plain
        });
    }
    let answer = rules::of_stranger(policy, flags, entry);
    let reason = answer.verdict().reason;
    if answer.lets_in() {
        if answer.is_limited() && asked.is_charged() {
            return Glance::Plain(plain);
        }
        let (service, opening) = (asked.service(), asked.opening(tables));
        return Glance::Told(O::told(reason, service, opening, is_monitor(flags)));
    }
    if asked.opens() {
        return told(reason, asked, flags);
    }
    let marks = tables.port_marks(asked.port());
    if flow::may_have_any(asked.protocol(), marks) {
        return Glance::Plain(plain);
    }
    told(reason, asked, flags)
}

#[inline(always)]
fn hidden<T: Searches>(asked: Asked) -> Asked {
    Asked(T::hide(u64::from(asked.0)) as u32)
}

#[inline(always)]
fn told<O: Outcome>(reason: Reason, asked: Asked, flags: u32) -> Glance<O> {
    let service = asked.service();
    Glance::Told(O::told(reason, service, Opening::NONE, is_monitor(flags)))
}

#[inline(always)]
const fn is_monitor(flags: u32) -> bool {
    flags & MONITOR != 0
}

#[inline(always)]
pub(super) const fn judgement(reason: Reason, service: Option<Service>) -> Judgement {
    Judgement {
        verdict: Verdict::of(reason),
        service,
        opening: Opening::NONE,
    }
}
