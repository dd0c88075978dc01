//! Facts about this host: its clock, interfaces, addresses, routes and the sessions of its operators. Read by
//! netlink and procfs, never from /sys, which a namespace entered by `nsenter` sees of its parent.

pub mod clock;
pub mod network;
pub mod sessions;

pub use network::{Interface, Network, XdpAttachment, XdpMode};
