//! The only place that forms pointers into a packet.

use aya_ebpf::programs::{TcContext, XdpContext};
use guard_common::packet::{LINK_END, MAX_OFFSET, PacketReader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Direct access to the linear part of a frame.
pub(crate) struct FrameReader {
    start: usize,
    end: usize,
    len: usize,
}

impl FrameReader {
    /// A frame that arrives.
    #[inline(always)]
    pub(crate) fn arriving(ctx: &XdpContext) -> Self {
        let (start, end) = (ctx.data(), ctx.data_end());
        // The compiler must not know that this is `end - start`: it would derive from a length
        // field that fits the frame that a read does too, and leave out the comparison with `end`
        // that the verifier wants to see before every read.
        let len = opaque((end - start) as u64) as usize;
        Self { start, end, len }
    }

    /// A frame that leaves. Its headers are made linear if they are not.
    #[inline(always)]
    pub(crate) fn leaving(ctx: &TcContext) -> Self {
        /// Ethernet, two tags, IPv6 with a few extension headers, TCP.
        const HEADERS: u32 = 128;
        let len = ctx.len();
        let wanted = if len < HEADERS { len } else { HEADERS };
        if ctx.data() + wanted as usize > ctx.data_end() {
            // Refused for lack of memory: what cannot be read is not noted.
            let _ = ctx.pull_data(wanted);
        }
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
            len: opaque(u64::from(len)) as usize,
        }
    }

    /// Copies the frame's first bytes, `most` at most, which is a multiple of 8, by words: how many.
    ///
    /// # Safety
    /// `to` must have room for `most` bytes.
    #[inline(always)]
    pub(crate) unsafe fn copy(&self, to: *mut u8, most: usize) -> usize {
        const WORD: usize = size_of::<u64>();
        let mut copied = 0;
        while copied + 2 * WORD <= most {
            let from = self.start + copied;
            if from + 2 * WORD > self.end {
                break;
            }
            // SAFETY: inside the frame (checked above).
            let (first, second) = unsafe { (word_at(from), word_at(from + WORD)) };
            // SAFETY: below `most`.
            unsafe { to.add(copied).cast::<u64>().write_volatile(first) };
            // SAFETY: as above.
            unsafe { to.add(copied + WORD).cast::<u64>().write_volatile(second) };
            // The compiler must not derive from the frame's length how often this runs: the verifier wants to see
            // the comparison.
            copied = opaque((copied + 2 * WORD) as u64) as usize;
        }
        if copied + WORD <= most {
            let from = self.start + copied;
            if from + WORD <= self.end {
                // SAFETY: inside the frame (checked above).
                let word = unsafe { word_at(from) };
                // SAFETY: below `most`.
                unsafe { to.add(copied).cast::<u64>().write_volatile(word) };
                copied = opaque((copied + WORD) as u64) as usize;
            }
        }
        // The rest is the end of a word that begins in what is copied already.
        let last = opaque((self.len as u64).wrapping_sub(WORD as u64)) as usize;
        if copied < self.len && most >= WORD && last <= most - WORD {
            let from = self.start + last;
            if from + WORD <= self.end {
                // SAFETY: inside the frame (checked above).
                let word = unsafe { word_at(from) };
                // SAFETY: below `most`.
                unsafe { to.add(last).cast::<u64>().write_volatile(word) };
                return last + WORD;
            }
        }
        copied
    }

    /// Bytes of the frame, from its Ethernet header.
    #[inline(always)]
    pub(crate) fn frame_len(&self) -> u64 {
        self.len as u64
    }
}

/// A frame that is sent back.
pub(crate) struct FrameWriter {
    start: usize,
    end: usize,
}

impl FrameWriter {
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// Turns the hardware addresses round and writes what follows the EtherType at `at`. `false` if
    /// the frame is too short for that.
    #[inline(always)]
    pub(crate) fn turn_around<T: IntoBytes + Unaligned>(&self, at: usize, packet: T) -> bool {
        if at > MAX_OFFSET || self.start + at + size_of::<T>() > self.end {
            return false;
        }
        // The compiler must not know that this is the same place: the comparison above would do for
        // it, but not for the verifier.
        let start = opaque(self.start as u64) as usize;
        if start + size_of::<[[u8; 6]; 2]>() > self.end {
            return false;
        }
        let addresses = start as *mut [[u8; 6]; 2];
        // SAFETY: inside the frame (checked above), any alignment.
        let [destination, source] = unsafe { addresses.read() };
        // SAFETY: as above.
        unsafe { addresses.write([source, destination]) };
        // SAFETY: `at..at + size_of::<T>()` lies inside the frame (checked above); `T` has no
        // alignment.
        unsafe { ((self.start + at) as *mut T).write(packet) };
        true
    }
}

impl PacketReader for FrameReader {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn read<T: FromBytes + Immutable + KnownLayout + Unaligned>(&self, offset: usize) -> Option<T> {
        // The verifier tracks a packet pointer only while its offset has a small bound.
        if offset > MAX_OFFSET {
            return None;
        }
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: `at..at + size_of::<T>()` lies inside the frame (checked above), and `T` accepts
        // every bit pattern at every alignment (its bounds).
        Some(unsafe { core::ptr::read_unaligned(at as *const T) })
    }

    #[inline(always)]
    fn hidden(&self, offset: usize) -> usize {
        // Nothing, which it does not see: to it two unknown numbers stay unknown when one is taken from the other.
        let nothing = opaque(self.len as u64).wrapping_sub(self.len as u64) as usize;
        offset ^ nothing & (LINK_END - 1)
    }

    #[inline(always)]
    fn forget_words() {
        // SAFETY: does nothing, but the compiler does not know.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) 0u64 => _, options(nostack)) };
    }
}

/// The eight bytes at an address. One instruction, where the compiler, which knows of no alignment, would make it eight.
///
/// # Safety
/// They lie inside the frame, which was compared with its end.
#[inline(always)]
unsafe fn word_at(from: usize) -> u64 {
    let word: u64;
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "{word} = *(u64 *)({from} + 0)",
            word = lateout(reg) word,
            from = in(reg) from,
            options(readonly, nostack),
        );
    }
    word
}

/// The same value, of which the compiler knows nothing.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: moves a register to itself. (No instruction at all could leave two lines of source at
    // one offset, which the kernel refuses.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack)) };
    value
}
