//! The one place where a packet is counted.

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use guard_common::{
    abi::{
        counters::{
            Counter, Event, SHARD_ROWS, dropped_row, event_row, monitored_reason_row,
            monitored_row, passed_row, reason_row,
        },
        reason::Action,
    },
    policy::Judgement,
};

use crate::maps;

/// Counts a frame by reason and, where it asked for a service, by service and action. What passes
/// for a reason to drop passes because of monitor mode, and is counted apart.
#[inline(always)]
pub(crate) fn record(judgement: &Judgement, bytes: u64) {
    let shard = shard();
    let reason = judgement.verdict.reason;
    let is_monitored = match (reason.action(), judgement.verdict.action) {
        (Action::Drop, Action::Pass) => true,
        (Action::Drop, Action::Drop) | (Action::Pass, _) => false,
    };
    add(
        shard
            + if is_monitored {
                monitored_reason_row(reason)
            } else {
                reason_row(reason)
            },
        bytes,
    );
    if let Some(service) = judgement.service {
        let row = if is_monitored {
            monitored_row(service)
        } else {
            match judgement.verdict.action {
                Action::Pass => passed_row(service),
                Action::Drop => dropped_row(service),
            }
        };
        add(shard + row, bytes);
    }
}

/// Counts what is no frame.
#[inline(always)]
pub(crate) fn event(event: Event) {
    add(shard() + event_row(event), 0);
}

/// First row of this CPU's shard.
#[inline(always)]
fn shard() -> u32 {
    // SAFETY: the helper has no arguments and no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    (cpu as u32 & (maps::shards() - 1)) * SHARD_ROWS
}

#[inline(always)]
fn add(row: u32, bytes: u64) {
    let Some(counter) = maps::COUNTERS.get_ptr_mut(row) else {
        return;
    };
    if maps::own_shard() == 1 {
        increment(counter, bytes);
    } else {
        increment_shared(counter, bytes);
    }
}

/// On a shard of this CPU alone: XDP does not interrupt itself.
#[inline(always)]
fn increment(counter: *mut Counter, bytes: u64) {
    // SAFETY: the kernel returned a pointer to a live counter, and nobody else writes to it.
    let counter = unsafe { &mut *counter };
    counter.packets += 1;
    counter.bytes += bytes;
}

/// On a shard of several CPUs.
#[inline(always)]
fn increment_shared(counter: *mut Counter, bytes: u64) {
    // SAFETY: the kernel returned a pointer to a live counter.
    let packets = unsafe { &raw mut (*counter).packets };
    // SAFETY: as above.
    let total = unsafe { &raw mut (*counter).bytes };
    atomic_add(packets, 1);
    atomic_add(total, bytes);
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
