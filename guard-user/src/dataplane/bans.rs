//! Bans in the kernel.

/// Chunks that an installation begins with: 64 KB.
pub const FIRST_CHUNKS: u32 = 64;
/// Buckets of the set that an installation begins with: 1 MB, room for 32 000 bans at half load.
pub const FIRST_BUCKETS: u32 = 1 << 14;
