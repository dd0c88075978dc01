//! An array map seen as shared memory.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// The 64-bit words of a memory-mapped array map, shared with the kernel program.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the memory is shared with the kernel anyway; every access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `words` words of an array map made with `BPF_F_MMAPABLE`.
    ///
    /// # Errors
    /// What `mmap` answers, for example when the map is smaller or not mappable.
    pub fn new(map: impl AsFd, words: usize) -> io::Result<Self> {
        let fd = map.as_fd().as_raw_fd();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                words * 8,
                protection,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { start, words })
    }

    /// Words in the map.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
    }

    /// Is there no word?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// Reads a word.
    ///
    /// # Panics
    /// When `index` lies behind the map.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Writes a word: everything stored before is visible to whoever sees it.
    ///
    /// # Panics
    /// When `index` lies behind the map.
    pub fn store(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }

    /// Sets bits of a word and leaves the others, whoever writes to them meanwhile.
    ///
    /// # Panics
    /// When `index` lies behind the map.
    pub fn set_bits(&self, index: usize, bits: u64) {
        self.word(index).fetch_or(bits, Ordering::AcqRel);
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: `index` lies inside the mapping.
        let word = unsafe { self.start.add(index) };
        // SAFETY: the mapping lives as long as `self`; pages are aligned, and the words are only
        // ever accessed atomically on this side.
        unsafe { word.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length and is used by nobody else.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}
