//! An array map seen as shared memory.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    ptr::NonNull,
    slice,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The 64-bit words of an array map, shared with the kernel program. It is mapped into memory with the
/// first word that is asked for: the kernel fills in every page at once, and a command needs few
/// of the maps that there are.
#[derive(Debug)]
pub struct Mapping {
    map: OwnedFd,
    start: OnceLock<NonNull<AtomicU64>>,
    words: usize,
}

// SAFETY: the memory is shared with the kernel anyway; every access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `words` words of an array map made with `BPF_F_MMAPABLE`.
    ///
    /// # Errors
    /// When there is no room for another file descriptor.
    pub fn new(map: impl AsFd, words: usize) -> io::Result<Self> {
        Ok(Self {
            map: map.as_fd().try_clone_to_owned()?,
            start: OnceLock::new(),
            words,
        })
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
    /// When `index` lies behind the map, or the kernel does not map it: there is no memory left.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Writes a word: everything stored before is visible to whoever sees it.
    ///
    /// # Panics
    /// As [`Mapping::load`].
    pub fn store(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }

    /// Sets bits of a word and leaves the others, whoever writes to them meanwhile.
    ///
    /// # Panics
    /// As [`Mapping::load`].
    pub fn set_bits(&self, index: usize, bits: u64) {
        self.word(index).fetch_or(bits, Ordering::AcqRel);
    }

    /// All words.
    ///
    /// # Panics
    /// When the kernel does not map them: there is no memory left.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has so many words and lives as long as `self`; pages are aligned, and the words are
        // only ever accessed atomically on this side.
        unsafe { slice::from_raw_parts(self.start().as_ptr(), self.words) }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: `index` lies inside the mapping.
        let word = unsafe { self.start().add(index) };
        // SAFETY: the mapping lives as long as `self`; pages are aligned, and the words are only
        // ever accessed atomically on this side.
        unsafe { word.as_ref() }
    }

    fn start(&self) -> NonNull<AtomicU64> {
        *self.start.get_or_init(|| match self.map() {
            Ok(start) => start,
            Err(error) => panic!("cannot map {} words: {error}", self.words),
        })
    }

    fn map(&self) -> io::Result<NonNull<AtomicU64>> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                self.words * 8,
                protection,
                libc::MAP_SHARED,
                self.map.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(start) = self.start.get() {
            // SAFETY: the mapping was made by `map` with this length and is used by nobody else.
            unsafe { libc::munmap(start.as_ptr().cast(), self.words * 8) };
        }
    }
}
