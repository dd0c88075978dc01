//! `Tables` over the BPF maps.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_jiffies64, bpf_ktime_get_boot_ns},
    programs::{TcContext, XdpContext},
};
use core::ffi::c_void;
use guard_common::{
    abi::{
        ban, ceiling, counters,
        flow::{BucketWords, FlowState, Tag, WAYS, port_place},
        switch::{self, SwitchWord},
    },
    packet::PacketReader,
    policy::{BanBucket, BanWords, Bucket, MeterBucket, Scratch, SocketState, Subject, Tables},
};

use crate::{count, entries, maps, reader::opaque, socket};

/// Stands for the maps of this program, and for the packet on whose behalf sockets are looked up.
pub(crate) struct BpfTables {
    ctx: *mut c_void,
    cpu: u32,
}

impl BpfTables {
    /// On behalf of a frame that arrives.
    #[inline(always)]
    pub(crate) fn arriving(ctx: &XdpContext, cpu: u32) -> Self {
        let ctx = ctx.as_ptr();
        Self { ctx, cpu }
    }

    /// On behalf of a frame that leaves.
    #[inline(always)]
    pub(crate) fn leaving(ctx: &TcContext, cpu: u32) -> Self {
        let ctx = ctx.as_ptr();
        Self { ctx, cpu }
    }

    /// The program's context.
    #[inline(always)]
    pub(crate) fn context(&self) -> *mut xdp_md {
        self.ctx.cast()
    }

    /// The CPU that it runs on.
    #[inline(always)]
    pub(crate) fn cpu(&self) -> u32 {
        self.cpu
    }

    /// For what asks no socket.
    #[inline(always)]
    pub(crate) fn without_packet() -> Self {
        Self {
            ctx: core::ptr::null_mut(),
            cpu: 0,
        }
    }
}

impl Tables for BpfTables {
    #[inline(always)]
    fn switch(&self) -> SwitchWord {
        SwitchWord::from_bits(word(&maps::SWITCH, switch::POLICY_WORD))
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: the helper has no arguments and no preconditions.
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn jiffies(&self) -> u64 {
        if maps::fixed_clock() != 0 {
            return word(&maps::SWITCH, switch::CLOCK_WORD);
        }
        // SAFETY: the helper has no arguments and no preconditions.
        unsafe { bpf_jiffies64() }
    }

    #[inline(always)]
    fn tick_shift(&self) -> u32 {
        maps::tick_shift()
    }

    #[inline(always)]
    fn hide(value: u64) -> u64 {
        opaque(value)
    }

    #[inline(always)]
    fn slot_words(&self) -> u32 {
        maps::slot_words()
    }

    #[inline(always)]
    fn policy_word(&self, index: u32) -> u64 {
        word(&maps::POLICY, index)
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        maps::seed()
    }

    #[inline(always)]
    fn fragment_stamp(&self, index: u32) -> u64 {
        word(&maps::FRAGMENTS, index)
    }

    #[inline(always)]
    fn set_fragment_stamp(&self, index: u32, stamp: u64) {
        if maps::explain() == 0
            && let Some(cell) = maps::FRAGMENTS.get_ptr_mut(index)
        {
            // SAFETY: the kernel returned a pointer to a live 8-byte element; a torn or lost write
            // costs one datagram a retransmission.
            unsafe { cell.write_volatile(stamp) };
        }
    }

    #[inline(always)]
    fn flow_key(&self, index: usize) -> u64 {
        maps::flow_key(index)
    }

    #[inline(always)]
    fn flow_bucket(&self, tag: Tag) -> impl Bucket {
        BpfBucket(maps::FLOWS.get_ptr_mut(tag.bucket(maps::flow_mask())))
    }

    #[inline(always)]
    fn port_marks(&self, port: u16) -> u8 {
        match port_byte(port) {
            // SAFETY: a byte of a live element.
            Some(marks) => unsafe { marks.read_volatile() },
            None => 0,
        }
    }

    #[inline(always)]
    fn mark_port(&self, port: u16, mark: u8) {
        if let Some(marks) = port_byte(port) {
            // SAFETY: a byte of a live element. Read first: a line that nobody writes stays in every
            // cache.
            let known = unsafe { marks.read_volatile() };
            if known & mark != mark && maps::explain() == 0 {
                // SAFETY: as above.
                unsafe { marks.write_volatile(known | mark) };
            }
        }
    }

    #[inline(always)]
    fn socket(&self, _: &Scratch, subject: Subject) -> SocketState {
        self.count(counters::Event::SocketAsked);
        let number = socket::guard_socket(self.ctx.cast(), self.cpu, subject as u32);
        SocketState::from_number(number)
    }

    #[inline(always)]
    fn socket_or_cookie<R: PacketReader + ?Sized>(&self, _: &R, _: &Scratch) -> SocketState {
        self.count(counters::Event::SocketAsked);
        SocketState::from_number(socket::guard_returning(self.ctx.cast(), self.cpu))
    }

    #[inline(always)]
    fn jiffy_us(&self) -> u64 {
        maps::jiffy_us()
    }

    #[inline(always)]
    fn ceiling(&self, index: u32) -> u64 {
        word(&maps::CEILINGS, index)
    }

    #[inline(always)]
    fn exceeded_mark(&self, port: u16) -> u64 {
        if maps::explain() != 0 {
            // What becomes of the next connection, not of one in this moment.
            return 0;
        }
        self.ceiling(ceiling::exceeded(port))
    }

    #[inline(always)]
    fn set_ceiling(&self, index: u32, value: u64) {
        if let Some(word) = maps::CEILINGS.get_ptr_mut(index) {
            // SAFETY: a live, aligned element; a store that another CPU's goes beside lets one
            // connection more in.
            unsafe { word.write_volatile(value) };
        }
    }

    #[inline(always)]
    fn add_to_ceiling(&self, index: u32, value: u64) {
        if let Some(word) = maps::CEILINGS.get_ptr_mut(index) {
            count::atomic_add(word, value);
        }
    }

    #[inline(always)]
    fn is_forwarding(&self) -> bool {
        // SAFETY: asked only of a frame that leaves, whose context is a valid __sk_buff. What a
        // socket of this host sends has arrived nowhere.
        unsafe { (*self.ctx.cast::<__sk_buff>()).ingress_ifindex != 0 }
    }

    #[inline(always)]
    fn unmark_port(&self, port: u16, mark: u8) {
        if let Some(marks) = port_byte(port) {
            // SAFETY: a byte of a live element.
            let known = unsafe { marks.read_volatile() };
            if known & mark != 0 && maps::explain() == 0 {
                // SAFETY: as above.
                unsafe { marks.write_volatile(known & !mark) };
            }
        }
    }

    #[inline(always)]
    fn meter_bucket(&self, index: u32) -> impl MeterBucket {
        entries::bucket(index)
    }

    #[inline(always)]
    fn ban_filter(&self, index: u32) -> u64 {
        word(&maps::BAN_FILTER, index)
    }

    #[inline(always)]
    fn ban_top(&self, index: u32) -> u64 {
        word(&maps::BAN_TOPS, index)
    }

    #[inline(always)]
    fn ban_chunk(&self, index: u32) -> u64 {
        word(&maps::BAN_CHUNKS, index)
    }

    #[inline(always)]
    fn ban_mask(&self) -> u32 {
        maps::ban_mask()
    }

    #[inline(always)]
    fn ban_bucket(&self, index: u32) -> impl BanBucket {
        BpfBanWords(maps::BAN_SET.get_ptr(index))
    }

    #[inline(always)]
    fn ban_address_mask(&self) -> u32 {
        maps::ban_address_mask()
    }

    #[inline(always)]
    fn banned_addresses(&self, index: u32) -> impl BanWords {
        BpfBanWords(maps::BAN_ADDRESSES.get_ptr(index))
    }

    #[inline(always)]
    fn has_ban_fingerprints(&self) -> bool {
        maps::ban_has_fingerprints() != 0
    }

    #[inline(always)]
    fn ban_fingerprints(&self, index: u32) -> impl BanWords {
        BpfBanWords(maps::BAN_FINGERPRINTS.get_ptr(index))
    }

    #[inline(always)]
    fn came_banned(&self) -> bool {
        maps::came_banned()
    }

    #[inline(always)]
    fn note_banned(&self, is_banned: bool) {
        if maps::explain() == 0 {
            maps::note_banned(is_banned);
        }
    }

    #[inline(always)]
    fn count(&self, event: counters::Event) {
        if maps::explain() == 0 {
            count::event(event);
        }
    }
}

/// The byte of a port.
#[inline(always)]
fn port_byte(port: u16) -> Option<*mut u8> {
    let (row, place) = port_place(port);
    let ports = maps::PORTS.get_ptr_mut(row)?;
    // SAFETY: `place` is below the length of the row that the kernel returned.
    Some(unsafe { ports.cast::<u8>().add(place) })
}

/// A bucket of the flow table; none reads as empty.
struct BpfBucket(Option<*mut BucketWords>);

impl BpfBucket {
    #[inline(always)]
    fn load(&self, at: usize) -> u64 {
        match self.0 {
            Some(bucket) => {
                // SAFETY: `at` is below the length of the live element.
                let word = unsafe { bucket.cast::<u64>().add(at) };
                // SAFETY: as above; aligned, one load.
                unsafe { word.read_volatile() }
            }
            None => 0,
        }
    }

    #[inline(always)]
    fn store(&self, at: usize, value: u64) {
        if let Some(bucket) = self.0
            && maps::explain() == 0
        {
            // SAFETY: `at` is below the length of the live element.
            let word = unsafe { bucket.cast::<u64>().add(at) };
            // SAFETY: as above; aligned, one store. Two CPUs that write at once leave the entry of
            // one of them; the other flow is noted with its next packet.
            unsafe { word.write_volatile(value) };
        }
    }
}

impl Bucket for BpfBucket {
    #[inline(always)]
    fn tag(&self, way: usize) -> u64 {
        self.load(way & (WAYS - 1))
    }

    #[inline(always)]
    fn state(&self, way: usize) -> u64 {
        self.load(WAYS + (way & (WAYS - 1)))
    }

    #[inline(always)]
    fn set_tag(&self, way: usize, tag: u64) {
        self.store(way & (WAYS - 1), tag);
    }

    #[inline(always)]
    fn set_state(&self, way: usize, state: u64) {
        self.store(WAYS + (way & (WAYS - 1)), state);
    }

    #[inline(always)]
    fn worth(state: FlowState, now: u32) -> u64 {
        guard_worth(state.to_word(), now)
    }

    #[inline(always)]
    fn forget(value: u64) -> u64 {
        forget(value)
    }
}

/// A bucket of so many words; none reads as empty.
struct BpfBanWords<const N: usize>(Option<*const [u64; N]>);

impl<const N: usize> BanWords for BpfBanWords<N> {
    #[inline(always)]
    fn word(&self, way: usize) -> u64 {
        match self.0 {
            Some(bucket) => {
                let at = way % N;
                // SAFETY: `at` is below the length of the live element.
                let word = unsafe { bucket.cast::<u64>().add(at) };
                // SAFETY: as above; aligned, one load.
                unsafe { word.read_volatile() }
            }
            None => 0,
        }
    }

    #[inline(always)]
    fn hide(value: u64) -> u64 {
        opaque(value)
    }
}

/// One of the set.
impl BanBucket for BpfBanWords<{ ban::BUCKET_WORDS }> {
    #[inline(always)]
    fn tag(&self, way: usize) -> u64 {
        self.word(way & (ban::WAYS - 1))
    }

    #[inline(always)]
    fn cell(&self, way: usize) -> u64 {
        self.word(ban::WAYS + (way & (ban::WAYS - 1)))
    }
}

/// The same value, of which the verifier knows nothing any more.
#[inline(always)]
pub(crate) fn forget(value: u64) -> u64 {
    guard_forget(value)
}

/// A global function: the verifier checks it once, alone, and knows nothing of what it returns
/// (kernel commit 51c39bb1d5d1, 5.6).
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_forget(value: u64) -> u64 {
    opaque(value)
}

/// What the loss of a flow costs.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_worth(state: u64, now: u32) -> u64 {
    FlowState::from_word(state).worth(now)
}

/// An element, read whole and once; 0 when there is none.
#[inline(always)]
fn word(map: &aya_ebpf::maps::Array<u64>, index: u32) -> u64 {
    match map.get_ptr(index) {
        // SAFETY: the kernel returned a pointer to a live, aligned 8-byte element. Volatile, so
        // that one read is one load.
        Some(element) => unsafe { element.read_volatile() },
        None => 0,
    }
}
