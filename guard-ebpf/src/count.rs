//! The one place where a packet is counted.

use aya_ebpf::{helpers::bpf_get_smp_processor_id, programs::XdpContext};
use guard_common::{
    abi::{
        counters::{
            Counter, Event, MONITORED_ROWS_AFTER, SHARD_ROWS, dropped_row, event_row,
            monitored_reason_row, monitored_row, passed_row, reason_row,
        },
        hit::Hit,
        reason::{Action, Reason},
        record::{ADMISSION_SHIFT, HIT_SHIFT, PASSES, ROW_MASK, SERVICE_SHIFT},
        service::Service,
        watch,
    },
    policy::{Admission, Decision, Headroom},
};

use crate::maps;

/// What there is to count, in one number: [`record`].
#[derive(Clone, Copy)]
pub(crate) struct Record(u64);

impl Record {
    /// No record: it is not known yet what there is to count.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// What passes for a reason to drop passes because of monitor mode, and is counted apart.
    #[inline(always)]
    pub(crate) fn of(decision: &Decision) -> Self {
        let reason = decision.verdict.reason;
        let passes = matches!(decision.verdict.action, Action::Pass);
        let is_monitored = passes && matches!(reason.action(), Action::Drop);
        let first = if is_monitored {
            monitored_reason_row(reason) - FIRST_REASON
        } else {
            reason_row(reason) - FIRST_REASON
        };
        let service = match decision.service {
            Some(service) if is_monitored => monitored_row(service) + 1,
            Some(service) if passes => passed_row(service) + 1,
            Some(service) => dropped_row(service) + 1,
            None => 0,
        };
        let passes = if passes { PASSES } else { 0 };
        let admission = u64::from(decision.admission.bits()) << ADMISSION_SHIFT;
        let hit = u64::from(decision.hit.bits()) << HIT_SHIFT;
        Self(u64::from(first) | passes | admission | hit | u64::from(service) << SERVICE_SHIFT)
    }

    /// A SYN that was answered: it has neither reached the service nor been lost to it.
    #[inline(always)]
    pub(crate) const fn answered() -> Self {
        Self((reason_row(Reason::SynCookie) - FIRST_REASON) as u64)
    }

    /// The same packet, dropped (or let go in monitor mode) because it is above a ceiling: [`Headroom::number`].
    #[inline(always)]
    pub(crate) const fn above_ceiling(self, number: u32) -> Self {
        let service = self.0 >> SERVICE_SHIFT;
        // Rows of services lie alike whatever became of a packet, and this one counted as passed.
        let passed = (passed_row(Service::tcp(0)) + 1) as u64;
        let (first, row, passes) = if Headroom::passes(number) {
            (
                MONITORED_ROWS_AFTER + (number & 0xff),
                monitored_row(Service::tcp(0)) + 1,
                PASSES,
            )
        } else {
            (number & 0xff, dropped_row(Service::tcp(0)) + 1, 0)
        };
        let service = if service == 0 {
            0
        } else {
            service.wrapping_sub(passed).wrapping_add(row as u64)
        };
        Self(first as u64 | passes | service << SERVICE_SHIFT)
    }

    /// Is it what has a ceiling: a connection's first segment, which the rules let in, or an answer of DHCP?
    #[inline(always)]
    pub(crate) const fn admission(self) -> Admission {
        Admission::from_bits((self.0 >> ADMISSION_SHIFT) as u8 & ((1 << Admission::BITS) - 1))
    }

    /// The rule that it is counted for.
    #[inline(always)]
    const fn hit(self) -> Hit {
        Hit::from_bits((self.0 >> HIT_SHIFT) as u16)
    }

    /// The port that such a packet asks for.
    #[inline(always)]
    pub(crate) const fn port(self) -> u16 {
        let row = (self.0 >> SERVICE_SHIFT) as u32;
        row.wrapping_sub(1 + passed_row(Service::tcp(0))) as u16
    }

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Is it [`Record::NONE`]?
    #[inline(always)]
    pub(crate) const fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Does the frame go on?
    #[inline(always)]
    pub(crate) const fn passes(self) -> bool {
        self.0 & PASSES != 0
    }
}

impl From<Decision> for Record {
    #[inline(always)]
    fn from(decision: Decision) -> Self {
        Self::of(&decision)
    }
}

/// Row of the first reason.
const FIRST_REASON: u32 = reason_row(Reason::DefaultDrop);

/// Counts a frame by reason and, where it asked for a service, by service and action, and for the rule that has
/// decided. The frames that this reason has now, on this CPU.
#[inline(always)]
pub(crate) fn record(record: Record, cpu: u32, bytes: u64) -> u64 {
    let shard = shard(cpu);
    let (row, service) = (record.0 as u32 & 0xffff, (record.0 >> SERVICE_SHIFT) as u32);
    let first = shard + FIRST_REASON + row;
    let second = shard.wrapping_add(service).wrapping_sub(1);
    let hit = record.hit();
    if maps::own_shard() == 1 {
        if !hit.is_none() {
            add_hit(hit, cpu, bytes, increment);
        }
        if service != 0 {
            add(second, bytes, increment);
        }
        add(first, bytes, increment)
    } else {
        if !hit.is_none() {
            add_hit(hit, cpu, bytes, increment_shared);
        }
        if service != 0 {
            add(second, bytes, increment_shared);
        }
        add(first, bytes, increment_shared)
    }
}

/// Hands a frame that is due to the first of those who watch, if anybody does. It then does not return: the
/// program that reports returns what this one would have.
#[inline(always)]
pub(crate) fn report(ctx: &XdpContext, record: Record, packets: u64) {
    if maps::watchable() == 0 {
        return;
    }
    let first = maps::watch_word(watch::FIRST);
    if first == 0 {
        return;
    }
    let gate = maps::watch_word(watch::gate_at(record.0 as u32 & ROW_MASK));
    if watch::is_due(gate, packets) {
        maps::hand_over(record.bits());
        // SAFETY: nothing here must be dropped. Without a program in that place, nobody watches.
        unsafe { maps::WATCH_PROGRAMS.tail_call(ctx, (first as u32).wrapping_sub(1)) };
    }
}

/// Counts what is no frame.
#[inline(always)]
pub(crate) fn event(event: Event) {
    let row = shard(cpu()) + event_row(event);
    if maps::own_shard() == 1 {
        add(row, 0, increment);
    } else {
        add(row, 0, increment_shared);
    }
}

/// Number of this CPU.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper has no arguments and no preconditions.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// First row of a CPU's shard.
#[inline(always)]
fn shard(cpu: u32) -> u32 {
    (cpu & (maps::shards() - 1)) * SHARD_ROWS
}

/// The packets that are counted there now.
#[inline(always)]
fn add(row: u32, bytes: u64, increment: impl Fn(*mut Counter, u64) -> u64) -> u64 {
    match maps::COUNTERS.get_ptr_mut(row) {
        Some(counter) => increment(counter, bytes),
        None => 0,
    }
}

/// Of the packets that a rule decided about.
#[inline(always)]
fn add_hit(hit: Hit, cpu: u32, bytes: u64, increment: impl Fn(*mut Counter, u64) -> u64) {
    let cell = (cpu & (maps::shards() - 1)) * Hit::CELLS + u32::from(hit.bits());
    if let Some(counter) = maps::RULE_HITS.get_ptr_mut(cell) {
        increment(counter, bytes);
    }
}

/// On a shard of this CPU alone: XDP does not interrupt itself.
#[inline(always)]
fn increment(counter: *mut Counter, bytes: u64) -> u64 {
    // SAFETY: the kernel returned a pointer to a live counter, and nobody else writes to it.
    let counter = unsafe { &mut *counter };
    counter.packets += 1;
    counter.bytes += bytes;
    counter.packets
}

/// On a shard of several CPUs.
#[inline(always)]
fn increment_shared(counter: *mut Counter, bytes: u64) -> u64 {
    // SAFETY: the kernel returned a pointer to a live counter.
    let packets = unsafe { &raw mut (*counter).packets };
    // SAFETY: as above.
    let total = unsafe { &raw mut (*counter).bytes };
    atomic_add(packets, 1);
    atomic_add(total, bytes);
    // Others may have counted meanwhile: what is due is a sample.
    // SAFETY: as above.
    unsafe { packets.read_volatile() }
}

/// The atomic add without a result, the only atomic that 5.10 knows; `core` has none for BPF.
#[inline(always)]
pub(crate) fn atomic_add(word: *mut u64, value: u64) {
    // SAFETY: the callers pass an aligned word of a live map element.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({word} + 0) += {value}",
            word = in(reg) word,
            value = in(reg) value,
            options(nostack),
        );
    }
}
