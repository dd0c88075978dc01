//! XDP ingress: read, judge, count once, act.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    programs::XdpContext,
};
use guard_common::{
    abi::explain,
    policy::{Arrival, Glance, Plain, glance, judge_plain, weigh},
};

use crate::{
    count::{self, Record},
    maps, opening,
    reader::FrameReader,
    tables::BpfTables,
};

/// What the kernel shall do with the frame. Every frame leaves through this one function and is
/// counted here once.
#[inline(always)]
pub(crate) fn judge(ctx: &XdpContext) -> u32 {
    if maps::explain() != 0 {
        return guard_weigh(ctx.ctx) as u32;
    }
    let mut record = match glance(&FrameReader::arriving(ctx), &BpfTables::arriving(ctx)) {
        Glance::Told(record) => record,
        Glance::Plain(plain) => Record::from_bits(guard_at_once(
            ctx.ctx,
            plain.source,
            plain.asked,
            plain.policy,
        )),
        Glance::Nothing => Record::NONE,
    };
    if record.is_none() {
        record = Record::from_bits(guard_weigh(ctx.ctx));
    }
    if !record.opening().is_none() {
        record = opening::settle(ctx, record);
    }
    count::record(record, FrameReader::arriving(ctx).frame_len());
    if record.passes() {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

/// The short way behind a glance, in a function of its own, and without a call inside for most of what it
/// tells: on many CPUs (those that return through a thunk) a call costs a third of what a bare program
/// costs.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_at_once(ctx: *mut xdp_md, source: u32, asked: u32, policy: u32) -> u64 {
    let ctx = XdpContext::new(ctx);
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::arriving(&ctx));
    let plain = Plain {
        source,
        asked,
        policy,
    };
    match judge_plain(&reader, &tables, plain) {
        Some(judgement) => Record::of(&judgement).bits(),
        None => Record::NONE.bits(),
    }
}

/// The whole way; of an explained frame the reason.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_weigh(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    let tables = BpfTables::arriving(&ctx);
    let judgement = weigh(&FrameReader::arriving(&ctx), &tables, arrival(&ctx));
    if maps::explain() != 0 {
        return u64::from(explain::pack(judgement.verdict));
    }
    Record::of(&judgement).bits()
}

#[inline(always)]
fn arrival(ctx: &XdpContext) -> Arrival {
    if maps::explain() != 0 {
        return Arrival {
            ifindex: maps::explain_ifindex(),
        };
    }
    // SAFETY: the kernel hands every XDP program a valid xdp_md.
    let ifindex = unsafe { (*ctx.ctx).ingress_ifindex };
    Arrival { ifindex }
}
