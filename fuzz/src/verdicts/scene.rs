//! What happens to a host, step by step, read from the bytes of an input.

use std::net::IpAddr;

use arbitrary::{Result, Unstructured};
use guard_common::{
    abi::{addr::Addr, flow::Tuple, service::protocol},
    policy::ListenerState,
    testing::{
        packet,
        peers::{Ends, OWN, address},
    },
};
use guard_user::{
    bans::Prefix,
    ruleset::{
        compile::Host,
        sample::{
            NESTED,
            described::INTERFACES,
            frames::{SOURCES_V4, SOURCES_V6},
        },
    },
};

/// Longest frame.
const MOST_FRAME_BYTES: u16 = 256;
const PEER_PORTS: [u16; 3] = [53, 443, 40_002];
/// Lengths of bans, of each family: every level, and between levels.
const LENGTHS_V4: [u8; 8] = [128, 124, 122, 120, 115, 112, 108, 104];
const LENGTHS_V6: [u8; 8] = [128, 120, 64, 56, 48, 36, 32, 26];

/// Something that happens, and the interface where it does.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) interface: (&'static str, u32),
    pub(super) event: Event,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A frame comes in.
    Arrives(Vec<u8>),
    /// A frame goes out.
    Leaves(Vec<u8>),
    /// Time goes on.
    Passes { jiffies: u64 },
    /// A prefix is banned, for so many eighths of a tick.
    Banned { prefix: Prefix, eighths: u32 },
    /// Somebody listens, or no more.
    Listens {
        at: (Addr, u16),
        listener: ListenerState,
    },
    /// The host has a TCP session.
    HasSession(Tuple),
}

/// The host that the policies are compiled for.
pub(super) fn host() -> Host {
    let interfaces = INTERFACES.iter();
    Host {
        interfaces: interfaces
            .map(|(name, index)| ((*name).to_owned(), *index))
            .collect(),
        own: own(),
        ..Host::default()
    }
}

/// Its addresses.
pub(super) fn own() -> Vec<IpAddr> {
    OWN.iter().map(|ip| address(ip)).collect()
}

impl Step {
    /// Reads the next one.
    pub(super) fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        // The first byte of a step says what it is; frames as they stand are what seeds are made of.
        let kind: u8 = input.int_in_range(0..=15)?;
        let interface = *input.choose(&INTERFACES)?;
        let event = match kind {
            0..=2 => Event::Arrives(bytes(input)?),
            3 => Event::Leaves(bytes(input)?),
            4 | 5 => Event::Leaves(out(input)?),
            6 | 7 => Event::Arrives(back(input)?),
            8 => Event::Arrives(error(input)?),
            9..=11 => Event::Arrives(plain(input)?),
            12 => Event::Passes {
                jiffies: u64::from(input.arbitrary::<u16>()?),
            },
            13 => ban(input)?,
            14 => {
                let ends = ends(input)?;
                let listeners = [
                    ListenerState::None,
                    ListenerState::Ready,
                    ListenerState::Full,
                ];
                Event::Listens {
                    at: (Addr::from(ends.own), ends.own_port),
                    listener: *input.choose(&listeners)?,
                }
            }
            _ => Event::HasSession(ends(input)?.tuple(protocol::TCP)),
        };
        Ok(Self { interface, event })
    }
}

fn bytes(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = input.int_in_range(0..=MOST_FRAME_BYTES)?;
    let length = usize::from(length).min(input.len());
    Ok(input.bytes(length)?.to_vec())
}

fn ends(input: &mut Unstructured<'_>) -> Result<Ends> {
    let is_v4 = input.ratio(1u8, 2u8)?;
    let (own, peers) = if is_v4 {
        (OWN[0], SOURCES_V4)
    } else {
        (OWN[1], SOURCES_V6)
    };
    Ok(Ends {
        own: address(own),
        peer: address(input.choose(&peers)?),
        own_port: *input.choose(NESTED.ports)?,
        peer_port: *input.choose(&PEER_PORTS)?,
    })
}

/// What the host sends in a conversation.
fn out(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = ends(input)?;
    Ok(match input.int_in_range(0..=3u8)? {
        0 => ends.udp_out(),
        1 => ends.echo_out(),
        _ => ends.tcp_out(input.arbitrary()?),
    })
}

/// What comes back.
fn back(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = ends(input)?;
    Ok(match input.int_in_range(0..=3u8)? {
        0 => ends.udp_in(),
        1 => ends.echo_in(),
        _ => ends.tcp_in(input.arbitrary()?),
    })
}

/// An ICMP error about it.
fn error(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = ends(input)?;
    let about = match input.int_in_range(0..=2u8)? {
        0 => ends.udp_out(),
        1 => ends.echo_out(),
        _ => ends.tcp_out(0x10),
    };
    let kind = *input.choose(&[3, 11, 12, 1, 2, 4])?;
    let quoted = usize::from(input.int_in_range(0..=90u8)?);
    Ok(ends.error((kind, 0), &about, quoted).build())
}

/// TCP, UDP or ping from anywhere, in the form that most traffic has.
fn plain(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ends = ends(input)?;
    let port = match input.int_in_range(0..=7u8)? {
        0 => input.arbitrary()?,
        1 => ends.own_port.wrapping_add(1),
        _ => ends.own_port,
    };
    let base = packet().from_ip(ends.peer).to_ip(ends.own);
    let base = match input.int_in_range(0..=11u8)? {
        0 => base.vlan(0x8100),
        1 => base.to_ip(ends.other_own()),
        2 => base.fragment(0, true, 1),
        3 => base.payload(4),
        _ => base,
    };
    Ok(match input.int_in_range(0..=7u8)? {
        0 => base.icmp(ends.of(8, 128), 0),
        1..=3 => base.udp_between(ends.peer_port, port).payload(8),
        4 => base.tcp_between(ends.peer_port, port, input.arbitrary()?),
        5 => base.tcp_between(ends.peer_port, port, 0x10),
        _ => base.tcp_between(ends.peer_port, port, 0x02),
    }
    .build())
}

fn ban(input: &mut Unstructured<'_>) -> Result<Event> {
    let ends = ends(input)?;
    let lengths = ends.of(LENGTHS_V4, LENGTHS_V6);
    let bits = Prefix::single(ends.peer).bits();
    Ok(Event::Banned {
        prefix: Prefix::new(bits, *input.choose(&lengths)?),
        eighths: u32::from(input.arbitrary::<u8>()?),
    })
}
