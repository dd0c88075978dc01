//! XDP ingress: read, evaluate, count once, act.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    programs::XdpContext,
};
use guard_common::{
    abi::{explain, form, reason::Reason, switch::SlotState},
    policy::{
        self, Arrival, Decision, FastPath, LookupArgs, ServiceEntry, ServiceRequest, fast_path,
        fast_path_lookups, fast_path_open, fast_path_others,
    },
};

use crate::{
    admission,
    count::{self, Record},
    maps,
    reader::FrameReader,
    tables::BpfTables,
};

/// What the kernel shall do with the frame.
#[inline(always)]
pub(crate) fn evaluate(ctx: &XdpContext) -> u32 {
    let cpu = count::cpu();
    if maps::explain() != 0 {
        return full_path(ctx, cpu) as u32;
    }
    let mut record = match fast_path(&FrameReader::arriving(ctx), &BpfTables::arriving(ctx, cpu)) {
        FastPath::Decided(record) => record,
        FastPath::OpenPort(LookupArgs {
            request,
            state,
            entry,
        }) => {
            let (state, entry) = (state.bits(), entry.bits());
            Record::from_bits(guard_fast_open(ctx.ctx, request.0, state, entry))
        }
        FastPath::NeedsFlows(args) | FastPath::NeedsRules(args) => {
            let (state, entry) = (args.state.bits(), args.entry.bits());
            let record = guard_fast_lookups(ctx.ctx, cpu, args.request.0, state, entry);
            Record::from_bits(record)
        }
        FastPath::OtherForm => {
            to_others(ctx);
            Record::NONE
        }
        FastPath::FullPath => Record::NONE,
    };
    if record.is_none() {
        record = Record::from_bits(full_path(ctx, cpu));
    }
    leave(ctx, cpu, record)
}

/// The same of a frame of IPv6, in a program of its own: its addresses take more of the stack
/// than the other one has left, and a jump costs less than a call.
#[inline(always)]
pub(crate) fn evaluate_others(ctx: &XdpContext) -> u32 {
    let cpu = count::cpu();
    let (reader, tables) = (FrameReader::arriving(ctx), BpfTables::arriving(ctx, cpu));
    let Some(record) = fast_path_others(&reader, &tables, || maps::scratch(cpu)) else {
        maps::come_back();
        // SAFETY: nothing here must be dropped.
        unsafe { maps::FORM_PROGRAMS.tail_call(ctx, form::BACK) };
        // Nobody jumps here while that place is empty, and if somebody did, nothing would pass.
        return xdp_action::XDP_ABORTED;
    };
    leave(ctx, cpu, record)
}

/// Hands the frame to that program. Comes back where there is none, or where it takes the full path after all.
#[inline(always)]
fn to_others(ctx: &XdpContext) {
    if maps::jumps() != 0 && !maps::came_back() {
        // SAFETY: nothing here must be dropped.
        unsafe { maps::FORM_PROGRAMS.tail_call(ctx, form::OTHERS) };
    }
}

/// Every frame leaves through this one function and is counted here once.
#[inline(always)]
fn leave(ctx: &XdpContext, cpu: u32, mut record: Record) -> u32 {
    if !record.admission().is_none() {
        record = admission::admit(ctx, cpu, record);
    }
    let len = FrameReader::arriving(ctx).frame_len();
    let packets = count::record(record, cpu, len);
    count::report(ctx, record, packets);
    if record.passes() {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

/// The fast path to open ports, without a call inside for most of what it decides: on many CPUs (those that return
/// through a thunk) a call costs a third of what a bare program costs.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_fast_open(ctx: *mut xdp_md, request: u32, state: u32, entry: u32) -> u64 {
    let (ctx, args) = (XdpContext::new(ctx), lookup_args(request, state, entry));
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::without_packet());
    let decision = fast_path_open(&reader, &tables, args);
    decision.map_or(Record::NONE, Record::from).bits()
}

/// Its other look-ups, likewise.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_fast_lookups(
    ctx: *mut xdp_md,
    cpu: u32,
    request: u32,
    state: u32,
    entry: u32,
) -> u64 {
    let (ctx, args) = (XdpContext::new(ctx), lookup_args(request, state, entry));
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::arriving(&ctx, cpu));
    let decision = fast_path_lookups(&reader, &tables, || maps::scratch(cpu), args);
    decision.map_or(Record::NONE, Record::from).bits()
}

/// What those functions are called with.
#[inline(always)]
fn lookup_args(request: u32, state: u32, entry: u32) -> LookupArgs {
    LookupArgs {
        request: ServiceRequest(request),
        state: SlotState::from_bits(state),
        entry: ServiceEntry::from_bits(entry),
    }
}

/// The full path; of an explained frame the reason.
#[inline(always)]
fn full_path(ctx: &XdpContext, cpu: u32) -> u64 {
    let record = guard_read(ctx.ctx, cpu);
    if Record::from_bits(record).is_none() {
        guard_decide(ctx.ctx, cpu)
    } else {
        record
    }
}

/// Reads the frame into the scratch. What is not decided by that is an IP packet: [`Record::NONE`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_read(ctx: *mut xdp_md, cpu: u32) -> u64 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let reason = match maps::scratch(cpu) {
        Some(scratch) => policy::read(&reader, scratch),
        None => Some(Reason::NotIp),
    };
    match reason {
        Some(reason) => pack(&policy::by_frame(&BpfTables::without_packet(), reason)),
        None => Record::NONE.bits(),
    }
}

/// Evaluates the packet in the scratch.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_decide(ctx: *mut xdp_md, cpu: u32) -> u64 {
    let ctx = XdpContext::new(ctx);
    let tables = BpfTables::arriving(&ctx, cpu);
    let Some(scratch) = maps::scratch(cpu) else {
        return pack(&policy::by_frame(&tables, Reason::NotIp));
    };
    let reader = FrameReader::arriving(&ctx);
    pack(&policy::decide(&reader, &tables, arrival(&ctx), scratch))
}

/// What is counted; of an explained frame the reason.
#[inline(always)]
fn pack(decision: &Decision) -> u64 {
    if maps::explain() != 0 {
        return u64::from(explain::pack(decision.verdict));
    }
    Record::of(decision).bits()
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
