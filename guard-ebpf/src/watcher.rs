//! What the programs that report have in common: is this packet one that those who watch want, and how does it go
//! on behind the report?

use aya_ebpf::{
    bindings::xdp_action,
    helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_boot_ns},
    macros::map,
    maps::{Array, PerCpuArray, ProgramArray},
    programs::XdpContext,
};
use guard_common::abi::{
    reason::Reason,
    record::{self, PASSES, ROW_MASK, SERVICE_SHIFT},
    service::Service,
    watch::{self, NOT_WATCHED, SPARSEST, Tally, WATCHERS, WORDS},
};

/// The words of the program that filters.
#[map(name = "watch")]
static WATCH: Array<[u64; WORDS as usize]> = Array::with_max_entries(1, 0);

#[map(name = "watch_programs")]
static WATCH_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(WATCHERS, 0);

/// What the program that filters hands over.
#[map(name = "handover")]
static HANDOVER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[map(name = "tally")]
static TALLY: PerCpuArray<Tally> = PerCpuArray::with_max_entries(1, 0);

/// Which of the watchers this one is.
#[unsafe(no_mangle)]
static WATCHER: u32 = 0;
/// Events per CPU and window before the sample becomes sparser; 0: no bound.
#[unsafe(no_mangle)]
static BUDGET: u32 = 0;
/// The only services, as rows + 1; 0: no other.
#[unsafe(no_mangle)]
static SERVICES: [u32; 2] = [0; 2];

/// Time for which the budget is.
const WINDOW_NS: u64 = 4_000_000;

macro_rules! constant {
    ($static:ident) => {
        // SAFETY: the static lives as long as the program; volatile because the loader overwrites it.
        unsafe { core::ptr::read_volatile(&raw const $static) }
    };
}

/// What the packet was counted as.
#[inline(always)]
pub(crate) fn handed_over() -> u64 {
    match HANDOVER.get_ptr(0) {
        // SAFETY: a live element of this CPU, on which nothing else runs meanwhile.
        Some(place) => unsafe { place.read() },
        None => 0,
    }
}

/// What is noted of this CPU's events.
#[inline(always)]
pub(crate) fn tally() -> Option<&'static mut Tally> {
    // SAFETY: as above, and each program looks at it once.
    TALLY.get_ptr_mut(0).map(|tally| unsafe { &mut *tally })
}

/// The interface that a packet came by, and the queue.
#[inline(always)]
pub(crate) fn arrival(ctx: &XdpContext) -> (u32, u32) {
    let ctx = ctx.ctx;
    // Volatile: of two loads side by side the compiler makes one, which the verifier refuses.
    // SAFETY: the kernel hands every XDP program a valid xdp_md.
    let ifindex = unsafe { (&raw const (*ctx).ingress_ifindex).read_volatile() };
    // SAFETY: as above.
    let queue = unsafe { (&raw const (*ctx).rx_queue_index).read_volatile() };
    (ifindex, queue)
}

/// The time now, if this packet is to be reported.
#[inline(always)]
pub(crate) fn is_wanted(record: u64, tally: &mut Tally) -> Option<u64> {
    let words = Words(WATCH.get_ptr_mut(0)?.cast());
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    if now > words.read(watch::UNTIL) {
        words.write(watch::FIRST, 0);
        return None;
    }
    let watcher = constant!(WATCHER) & (WATCHERS - 1);
    let row = record as u32 & ROW_MASK;
    let gate = words.read(watch::gate_at(row)) as u32;
    if gate != 0 && words.read(watch::FIRST) as u32 == watcher + 1 {
        // With one phase for long, sources that come in turn would show as one of them.
        words.write(watch::gate_at(row), watch::gate(random(), gate));
    }
    let mask = words.read(watch::mask_at(watcher, row)) as u32;
    if mask == NOT_WATCHED || now > words.read(watch::until_at(watcher)) {
        return None;
    }
    // Others may want more of this row.
    if mask & !gate != 0 && random() & mask & !gate != 0 {
        return None;
    }
    if !is_of_services(record) {
        return None;
    }
    let budget = u64::from(constant!(BUDGET));
    if budget != 0 {
        if now.wrapping_sub(tally.window_ns) > WINDOW_NS {
            tally.window_ns = now;
            tally.in_window = 0;
        }
        tally.in_window += 1;
        if tally.in_window > budget && mask < SPARSEST {
            tally.in_window = 0;
            words.write(watch::mask_at(watcher, row), u64::from(mask << 1 | 1));
            words.write(watch::gate_at(row), watch::gate(random(), words.least(row)));
        }
    }
    tally.due += 1;
    Some(now)
}

/// Hands the packet to the watchers behind this one; where there is none, what becomes of it.
#[inline(always)]
pub(crate) fn go_on(ctx: &XdpContext, record: u64) -> u32 {
    let mut next = (constant!(WATCHER) & (WATCHERS - 1)) + 1;
    while next < WATCHERS {
        // SAFETY: nothing here must be dropped. Without a program in that place, the next one is tried.
        unsafe { WATCH_PROGRAMS.tail_call(ctx, next) };
        next += 1;
    }
    if record & PASSES != 0 {
        xdp_action::XDP_PASS
    } else if record as u32 & ROW_MASK == record::row(Reason::SynCookie, false) {
        xdp_action::XDP_TX
    } else {
        xdp_action::XDP_DROP
    }
}

#[inline(always)]
fn is_of_services(record: u64) -> bool {
    let [first, second] = constant!(SERVICES);
    if first == 0 {
        return true;
    }
    let successor = (record >> SERVICE_SHIFT) as u32;
    if successor == 0 {
        return false;
    }
    // Rows of services lie alike whatever became of a packet.
    let service = successor.wrapping_sub(1) % Service::ROWS + 1;
    service == first || service == second
}

#[inline(always)]
fn random() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_prandom_u32() }
}

/// The words of [`watch`].
struct Words(*mut u64);

impl Words {
    #[inline(always)]
    fn read(&self, index: u32) -> u64 {
        // SAFETY: every caller passes a number below `WORDS`.
        let word = unsafe { self.0.add(index as usize) };
        // SAFETY: as above.
        unsafe { word.read_volatile() }
    }

    #[inline(always)]
    fn write(&self, index: u32, value: u64) {
        // SAFETY: as above.
        let word = unsafe { self.0.add(index as usize) };
        // SAFETY: as above.
        unsafe { word.write_volatile(value) };
    }

    /// The least mask that a watcher has for this row.
    #[inline(always)]
    fn least(&self, row: u32) -> u32 {
        let mut least = NOT_WATCHED;
        let mut watcher = 0;
        while watcher < WATCHERS {
            let mask = self.read(watch::mask_at(watcher, row)) as u32;
            if mask < least {
                least = mask;
            }
            watcher += 1;
        }
        least
    }
}
