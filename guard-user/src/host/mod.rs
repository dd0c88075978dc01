//! Facts about this host: its clock, interfaces, addresses, routes and the sessions of its operators. Read by
//! netlink and procfs; nothing about the network from /sys, which a namespace entered by `nsenter` sees of its parent.

pub mod asking;
pub mod clock;
pub mod conntrack;
pub mod containers;
pub mod distribution;
mod dump;
pub mod essential;
pub mod ethtool;
pub mod exposure;
pub mod filters;
mod hosts_file;
pub mod kernel;
pub mod link_kind;
pub mod listeners;
pub mod live;
mod logins;
pub mod lookup;
pub mod mtu;
pub mod neighbours;
mod netlink;
pub mod network;
pub mod resolve;
pub mod resolver;
mod routes;
pub mod sessions;
mod sock_diag;
pub mod sockets;
pub mod source_check;
pub mod syn_cookies;
mod units;
pub mod watch;

pub use live::{Live, LiveFlow};
pub use network::{Interface, Network, XdpAttachment, XdpMode};
