//! The floor of the rows about bans: the least that tells of a packet that its source is banned by its
//! address, and counts it as guard does. It looks at nothing else of the packet, knows no policy and no
//! clock, and misses bans that stand behind another in their bucket of the table.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use guard_common::{
    abi::{
        addr::Addr,
        ban::{FilterBits, Fingerprint, first_bucket, has_rest},
        hit::Hit,
        reason::{Reason, Verdict},
        service::Service,
    },
    policy::{Admission, Decision},
};

use crate::{
    count::{self, Record},
    draw, maps,
};

const ETHER_TYPE_AT: usize = 12;
const SOURCE_AT: usize = 26;
const PORT_AT: usize = 36;

/// Behind the generator.
#[xdp]
fn bench_floor(ctx: XdpContext) -> u32 {
    draw(&ctx);
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + PORT_AT + 2 > end {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: inside the frame, checked above; any alignment.
    let kind = unsafe { *((start + ETHER_TYPE_AT) as *const [u8; 3]) };
    if kind != [0x08, 0x00, 0x45] {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: as above.
    let source = u32::from_be_bytes(unsafe { *((start + SOURCE_AT) as *const [u8; 4]) });
    // SAFETY: as above.
    let port = u16::from_be_bytes(unsafe { *((start + PORT_AT) as *const [u8; 2]) });
    let bits = FilterBits::v4_address(Addr::from_v4(source));
    let filter = maps::BAN_FILTER.get_ptr(bits.word);
    // SAFETY: a live element.
    let filter = filter.map_or(0, |word| unsafe { word.read_volatile() });
    if !bits.are_in(filter) {
        return xdp_action::XDP_PASS;
    }
    if !is_in_fingerprints(source) && !is_first(source) {
        return xdp_action::XDP_PASS;
    }
    let decision = Decision {
        verdict: Verdict::of(Reason::Banned),
        service: Some(Service::tcp(port)),
        admission: Admission::NONE,
        hit: Hit::NONE,
    };
    count::record(Record::of(&decision), count::cpu(), (end - start) as u64);
    xdp_action::XDP_DROP
}

/// Where there is a fingerprint filter.
#[inline(always)]
fn is_in_fingerprints(source: u32) -> bool {
    if maps::ban_has_fingerprints() == 0 {
        return false;
    }
    let place = Fingerprint::of(source, maps::flow_key);
    let Some(bucket) = maps::BAN_FINGERPRINTS.get_ptr(place.bucket) else {
        return false;
    };
    // SAFETY: a live element.
    has_rest(unsafe { bucket.read_volatile() }, place.rest)
}

/// Does it stand first in its bucket?
#[inline(always)]
fn is_first(source: u32) -> bool {
    let bucket = first_bucket(source, maps::ban_address_mask(), maps::flow_key);
    let bucket = maps::BAN_ADDRESSES.get_ptr(bucket);
    // SAFETY: the first word of a live element.
    let word = bucket.map_or(0, |bucket| unsafe { bucket.cast::<u64>().read_volatile() });
    word as u32 == source
}
