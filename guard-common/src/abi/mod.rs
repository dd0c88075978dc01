//! Everything that crosses the kernel boundary, declared once.
//!
//! Rules: plain integers in host order inside words, network order inside packets; every word of the
//! policy image is written by `guard-user` and read by [`crate::policy`]; no second copy of an
//! index, a name or a size anywhere else. Changing a layout means raising [`ABI_VERSION`].

pub mod addr;
pub mod ban;
pub mod ceiling;
pub mod ceiling_map;
pub mod clock;
pub mod counters;
pub mod explain;
pub mod flow;
pub mod form;
pub mod fragment;
pub mod handshake;
pub mod hit;
pub mod image;
pub mod meter;
pub mod names;
pub mod peers;
pub mod reason;
pub mod record;
pub mod repeat;
pub mod rule;
pub mod service;
pub mod switch;
pub mod watch;

/// Version of every layout in this module. Pins live below a directory with this number, so a
/// program never meets the maps of another version.
pub const ABI_VERSION: u32 = 9;
