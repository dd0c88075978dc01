//! XDP ingress: read, judge, count once, act.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    programs::XdpContext,
};
use guard_common::{
    abi::{explain, reason::Reason},
    policy::{self, Arrival, Glance, Judgement, Plain, glance, judge_plain},
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
    let cpu = count::cpu();
    if maps::explain() != 0 {
        return weigh(ctx, cpu) as u32;
    }
    let mut record = match glance(&FrameReader::arriving(ctx), &BpfTables::arriving(ctx, cpu)) {
        Glance::Told(record) => record,
        Glance::Plain(plain) => Record::from_bits(guard_at_once(
            ctx.ctx,
            cpu,
            plain.source,
            plain.asked,
            plain.policy,
        )),
        Glance::Other => Record::from_bits(guard_glance(ctx.ctx)),
        Glance::Nothing => Record::NONE,
    };
    if record.is_none() {
        record = Record::from_bits(weigh(ctx, cpu));
    }
    if !record.opening().is_none() {
        record = opening::settle(ctx, cpu, record);
    }
    count::record(record, cpu, FrameReader::arriving(ctx).frame_len());
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
extern "C" fn guard_at_once(
    ctx: *mut xdp_md,
    cpu: u32,
    source: u32,
    asked: u32,
    policy: u32,
) -> u64 {
    let ctx = XdpContext::new(ctx);
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::arriving(&ctx, cpu));
    let plain = Plain {
        source,
        asked,
        policy,
    };
    match judge_plain(&reader, &tables, || maps::scratch(cpu), plain) {
        Some(judgement) => Record::of(&judgement).bits(),
        None => Record::NONE.bits(),
    }
}

/// The short way of IPv6 and of frames with a tag: in a function of its own, because its addresses take more of
/// the stack than the entry point has.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_glance(ctx: *mut xdp_md) -> u64 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let tables = BpfTables::without_packet();
    policy::glance_at_others(&reader, &tables).map_or(Record::NONE.bits(), Record::bits)
}

/// The whole way; of an explained frame the reason.
#[inline(always)]
fn weigh(ctx: &XdpContext, cpu: u32) -> u64 {
    let told = guard_read(ctx.ctx, cpu);
    if Record::from_bits(told).is_none() {
        guard_decide(ctx.ctx, cpu)
    } else {
        told
    }
}

/// Reads the frame into the scratch. What is not told by that is an IP packet: [`Record::NONE`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_read(ctx: *mut xdp_md, cpu: u32) -> u64 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let reason = match maps::scratch(cpu) {
        Some(scratch) => policy::read(&reader, scratch),
        None => Some(Reason::NotIp),
    };
    match reason {
        Some(reason) => told(&policy::by_frame(&BpfTables::without_packet(), reason)),
        None => Record::NONE.bits(),
    }
}

/// Judges the packet in the scratch.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_decide(ctx: *mut xdp_md, cpu: u32) -> u64 {
    let ctx = XdpContext::new(ctx);
    let tables = BpfTables::arriving(&ctx, cpu);
    let Some(scratch) = maps::scratch(cpu) else {
        return told(&policy::by_frame(&tables, Reason::NotIp));
    };
    let reader = FrameReader::arriving(&ctx);
    told(&policy::decide(&reader, &tables, arrival(&ctx), scratch))
}

/// What is counted; of an explained frame the reason.
#[inline(always)]
fn told(judgement: &Judgement) -> u64 {
    if maps::explain() != 0 {
        return u64::from(explain::pack(judgement.verdict));
    }
    Record::of(judgement).bits()
}

#[inline(always)]
pub(crate) fn arrival(ctx: &XdpContext) -> Arrival {
    if maps::explain() != 0 {
        return Arrival {
            ifindex: maps::explain_ifindex(),
        };
    }
    // SAFETY: the kernel hands every XDP program a valid xdp_md.
    let ifindex = unsafe { (*ctx.ctx).ingress_ifindex };
    Arrival { ifindex }
}
