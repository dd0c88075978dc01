//! Which CPU does what: the first sends and is the honest client, the last receives and serves.

use std::{fs, time::Duration};

/// The CPU of the generator and of the client.
#[must_use]
pub fn sender() -> usize {
    0
}

/// The CPU of the server: its network queue, its programs.
#[must_use]
pub fn receiver() -> usize {
    // SAFETY: sysconf takes an integer and touches no memory of ours.
    let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(cpus).unwrap_or(1).max(1) - 1
}

/// Keeps the calling thread, and what it starts, on a CPU.
pub fn pin(cpu: usize) {
    pin_task(0, cpu);
}

/// Keeps a task on a CPU, 0 being the calling thread.
pub fn pin_task(task: i32, cpu: usize) {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the CPU number is below the size of the set on every machine that has this many.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is a live cpu_set_t of the size that is named.
    let pinned =
        unsafe { libc::sched_setaffinity(task, size_of::<libc::cpu_set_t>(), &raw const set) };
    if pinned != 0 {
        let error = std::io::Error::last_os_error();
        eprintln!("note: task {task} is not pinned to CPU {cpu} ({error}); expect a wider spread");
    }
}

/// CPU time that a task has used; nothing when it is gone.
#[must_use]
pub fn time_of(task: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}
