//! The only place that forms pointers into a packet.

use aya_ebpf::programs::XdpContext;
use guard_common::packet::{MAX_OFFSET, PacketReader};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Direct access to the linear part of an XDP frame.
pub(crate) struct XdpReader {
    start: usize,
    end: usize,
}

impl XdpReader {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// Bytes of the frame, from its Ethernet header.
    #[inline(always)]
    pub(crate) fn frame_len(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

impl PacketReader for XdpReader {
    #[inline(always)]
    fn len(&self) -> usize {
        self.end - self.start
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
    fn forget(value: u64) -> u64 {
        guard_forget(value)
    }
}

/// A global function: the verifier checks it once, alone, and knows nothing of what it returns
/// (kernel commit 51c39bb1d5d1, 5.6). The assembly keeps the compiler from seeing through it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_forget(mut value: u64) -> u64 {
    // SAFETY: moves a register to itself. (No instruction at all would leave two lines of source
    // at one offset, which the kernel refuses.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack)) };
    value
}
