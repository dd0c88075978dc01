//! Hosts in network namespaces, real programs in them, and guard between them. Every value cleans
//! up after itself when it is dropped, also when a test panics, and nothing here touches an
//! interface, a mount or a process that it has not made.
//!
//! What is declared last is dropped first: make the [`Topology`] first, then the servers and the
//! [`Instance`].

mod apache;
mod background;
mod behind_nat;
mod capture;
mod certificates;
mod chromium;
mod conversation;
mod counted;
mod crowdsec;
mod daemons;
mod dnsmasq;
mod docker;
mod download;
mod dump;
mod echo;
mod fail2ban;
mod fleet_host;
mod flood;
mod folder;
mod forged_syns;
mod fresh;
mod guard_daemon;
mod guard_web;
mod http;
mod http3;
mod instance;
mod journald;
mod marked;
mod memory_group;
mod namespace;
mod narrow;
mod nats;
mod nats_client;
mod nats_cluster;
mod own_mounts;
mod ping;
mod probe;
mod relay;
mod run;
mod second_cable;
mod syslog;
mod terminal;
mod topology;
mod ufw;
mod until;
mod wall_clock;
mod watched;
mod wire;

pub use apache::Apache;
pub use background::Background;
pub use capture::{Capture, Seen};
pub use certificates::Certificates;
pub use chromium::Chromium;
pub use conversation::{Conversation, Report};
pub use counted::Counted;
pub use crowdsec::CrowdsecLapi;
pub use daemons::{Nginx, SshSession, Sshd};
pub use dnsmasq::Dnsmasq;
pub use docker::{Container, DOCKER_PROGRAMS, Dockerd};
pub use download::{DownloadEnd, Downloaded, download};
pub use dump::Dump;
pub use echo::{TcpEcho, UdpEcho};
pub use fail2ban::Fail2ban;
pub use fleet_host::FleetHost;
pub use flood::{Flood, Rate};
pub use folder::Folder;
pub use forged_syns::Sources;
pub use guard_daemon::GuardDaemon;
pub use guard_web::GuardWeb;
pub use http::http_get;
pub use http3::Http3;
pub use instance::{Instance, guardctl_path, mount_bpffs, unmount_bpffs};
pub use journald::{Journald, Service};
pub use marked::Marked;
pub use memory_group::MemoryGroup;
pub use namespace::Namespace;
use nats::nats_program;
pub use nats::{FleetServers, NatsServer, guard_fleet};
pub use nats_client::{NatsClient, NatsMessage};
pub use nats_cluster::NatsCluster;
pub use own_mounts::own_mounts;
pub use probe::{Answer, ask_all};
pub use relay::Relay;
pub use run::{Ran, finish};
pub use syslog::{LogDaemon, Syslog};
pub use terminal::Terminal;
pub use topology::{Host, Topology};
pub use ufw::{UFW_PROGRAMS, Ufw};
pub use until::{until, within};
pub use wall_clock::WallClock;
pub use wire::Wire;

use std::sync::atomic::{AtomicU32, Ordering};

/// What a name of the lab starts with: this process and a number that it has used only once.
#[must_use]
pub fn unique_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("guard-{}-{number}", std::process::id())
}
