//! The rest of a fragmented datagram follows its accepted first part. TCP is never continued: a
//! later part could overwrite the flags that were evaluated, and no stack of today fragments TCP.

use super::{Searches, peer};
use crate::{
    abi::{fragment::FragmentKey, peers::Peer, reason::Reason, service::protocol},
    packet::{Fragment, Packet},
};

/// Stamps the datagram of an accepted first fragment.
#[inline(always)]
pub(super) fn remember<T: Searches>(tables: &T, packet: &Packet) {
    if let Fragment::First(id) = packet.fragment()
        && packet.protocol() != protocol::TCP
    {
        let key = key(tables, packet, id);
        tables.set_fragment_stamp(key.cell(), key.stamp(tables.now_ns()));
    }
}

/// Whether a later fragment belongs to an accepted datagram.
#[inline(always)]
pub(super) fn continues<T: Searches>(tables: &T, packet: &Packet) -> Reason {
    let (Fragment::Later(id) | Fragment::First(id)) = packet.fragment() else {
        return Reason::Fragment;
    };
    if packet.protocol() == protocol::TCP {
        return Reason::Fragment;
    }
    let key = key(tables, packet, id);
    let stamp = tables.fragment_stamp(key.cell());
    if let Some(left) = key.after_follower(stamp, tables.now_ns()) {
        // Of two that follow on two CPUs at once, one may be counted: the parts of a datagram come one after the other.
        tables.set_fragment_stamp(key.cell(), left);
        Reason::FragmentRest
    } else if peer::is_marked(tables, Peer::SentTo(packet.source())) {
        // Some hosts send the last part first. The first one decides: what is never put together is forgotten.
        Reason::FragmentEarly
    } else {
        Reason::Fragment
    }
}

#[inline(always)]
fn key<T: Searches>(tables: &T, packet: &Packet, id: u32) -> FragmentKey {
    FragmentKey::new(
        packet.source(),
        packet.destination(),
        id,
        packet.protocol(),
        tables.seed(),
    )
}
