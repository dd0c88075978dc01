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

/// CPU time of this thread.
#[must_use]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live structure of the kind that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Precedence of the benchmark over other programs on the machine, while the value lives.
#[derive(Debug)]
pub struct Precedence(());

/// Of the session's group of tasks, where the kernel makes such groups: it weighs more than a task's.
const GROUP: &str = "/proc/self/autogroup";
const NICE: i32 = -10;

impl Precedence {
    /// Takes it for this process and all that it starts.
    #[must_use]
    pub fn take() -> Self {
        set_nice(NICE);
        // Kernels without such groups have no such file.
        fs::write(GROUP, NICE.to_string()).ok();
        Self(())
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        set_nice(0);
        fs::write(GROUP, "0").ok();
    }
}

fn set_nice(nice: i32) {
    // SAFETY: the call takes integers and touches no memory.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } != 0 {
        eprintln!("note: no priority over other programs; expect a wider spread");
    }
}

/// Lets a kernel thread that receives packets go before all programs, as soft interrupts do. The kernel
/// keeps a twentieth of each second for the programs.
pub fn as_soft_interrupt(task: i32) {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: a live struct.
    let result = unsafe { libc::sched_setscheduler(task, libc::SCHED_FIFO, &raw const first) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        eprintln!("note: thread {task} has to wait for its CPU ({error}); expect lost packets");
    }
}

/// Lets the calling thread, and what it starts, run as soon as it is woken, without a larger share of the
/// CPU: short slices (Linux 6.12; before, the request has no effect).
pub fn wake_promptly() {
    // Of linux/sched/types.h, first version.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    const SLICE_NS: u64 = 100_000;
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice: NICE,
        priority: 0,
        runtime: SLICE_NS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: a live struct that says its own size.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        eprintln!("note: this thread may have to wait for its CPU ({error})");
    }
}
