//! A server and the network before it, for one filter: two namespaces and a cable. What arrives is
//! received by a kernel thread of its own, so that its CPU time is known to the nanosecond.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    client::{Clients, Work},
    cpus,
    flood::{Generator, Kind, Pace},
};
use crate::lab::{Namespace, Nginx, finish, own_mounts, unique_prefix};

/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The honest client's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The server's interface.
pub const INTERFACE: &str = "eth0";

/// Polls a NAPI instance by a thread of its own. `/sys` must be that of the namespace.
const THREADED: &str = "mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/$1/threaded";

/// What happened while a flood came.
#[derive(Clone, Copy, Debug, Default)]
pub struct FloodCost {
    /// Time that passed.
    pub took: Duration,
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that the server's interface took; the others found its queue full.
    pub received: u64,
    /// Segments and datagrams that reached TCP and UDP.
    pub delivered: u64,
    /// CPU time of the thread that receives.
    pub cpu: Duration,
}

/// What the client got done, beside which flood.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The client's account.
    pub work: Work,
    /// The server's; nothing without a flood.
    pub flood: FloodCost,
}

/// The place. What is declared first is dropped first.
#[derive(Debug)]
pub struct Arena {
    _nginx: Nginx,
    /// The host that a filter protects.
    pub server: Namespace,
    /// Where the flood and the client are.
    pub outside: Namespace,
    receiver: i32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Accounts {
    received: u64,
    delivered: u64,
    cpu: Duration,
}

impl Arena {
    /// Makes it, with nginx and without a filter.
    ///
    /// # Errors
    /// When the kernel has no threads for network queues (before 5.12).
    ///
    /// # Panics
    /// When it refuses another part.
    pub fn new() -> Result<Self> {
        let prefix = unique_prefix();
        let server = Namespace::new(format!("{prefix}-srv"));
        let outside = Namespace::new(format!("{prefix}-out"));
        let name = server.name();
        let queues = "numtxqueues 1 numrxqueues 1";
        outside.ip_batch(&format!(
            "link add srv {queues} type veth peer name {INTERFACE} {queues} netns {name}\n\
             link add idle type veth peer name idle-peer\n\
             addr add {CLIENT}/24 dev srv\n\
             link set srv up\nlink set idle up\n\
             route add blackhole default\n"
        ));
        server.ip_batch(&format!(
            "addr add {SERVER}/24 dev {INTERFACE}\n\
             link set {INTERFACE} up\n\
             route add default via {CLIENT}\n"
        ));
        // A filter may drop ARP: that is not what is compared.
        let (mac, outer_mac) = (hex(server.mac(INTERFACE)), hex(outside.mac("srv")));
        server.ip(&format!(
            "neigh replace {CLIENT} lladdr {outer_mac} dev {INTERFACE} nud permanent"
        ));
        outside.ip(&format!(
            "neigh replace {SERVER} lladdr {mac} dev srv nud permanent"
        ));
        let receivers = own_receivers(&server, INTERFACE, cpus::receiver())?;
        // Its cable has one queue.
        let receiver = receivers[0];
        own_receivers(&outside, "srv", cpus::sender())?;
        let nginx = thread::scope(|scope| {
            let start = scope.spawn(|| {
                cpus::pin(cpus::receiver());
                cpus::wake_promptly();
                Nginx::start(&server)
            });
            start.join().expect("nginx")
        });
        Ok(Self {
            _nginx: nginx,
            server,
            outside,
            receiver,
        })
    }

    /// Sends a flood at full speed, or at a rate, and nothing else.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn flood(&self, kind: Kind, pace: Pace, length: Duration) -> Result<FloodCost> {
        self.flood_when_ready(kind, pace, length, || {})
    }

    fn flood_when_ready(
        &self,
        kind: Kind,
        pace: Pace,
        length: Duration,
        ready: impl FnOnce() + Send,
    ) -> Result<FloodCost> {
        let macs = (self.server.mac(INTERFACE), self.outside.mac("srv"));
        self.outside.run(|| {
            cpus::pin(cpus::sender());
            cpus::wake_promptly();
            let generator = Generator::new(kind, macs, index("srv")?, "idle")?;
            let before = self.accounts();
            ready();
            let started = Instant::now();
            let sent = generator.send(pace, length)?;
            let took = started.elapsed();
            Ok(before.until(&self.accounts(), sent, took))
        })
    }

    /// The honest client at work, with a flood at a rate or without.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn serve(&self, flood: Option<(Kind, u32)>, length: Duration) -> Result<Served> {
        let server = SocketAddr::from((SERVER, 80));
        let work = || Clients::start(&self.outside, server, length).finish();
        let Some((kind, rate)) = flood else {
            return Ok(Served {
                work: work(),
                flood: FloodCost::default(),
            });
        };
        let (ready, is_ready) = mpsc::channel();
        thread::scope(|scope| {
            let flood = scope.spawn(move || {
                let pace = Pace::PerSecond(rate);
                // Nobody listens any more only when the other thread has given up.
                self.flood_when_ready(kind, pace, length, || {
                    ready.send(()).ok();
                })
            });
            // An error means that the flood has failed, which joining it tells.
            is_ready.recv().ok();
            let work = work();
            match flood.join() {
                Ok(flood) => flood.map(|flood| Served { work, flood }),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn accounts(&self) -> Accounts {
        let listed = self.server.ip(&format!("-j -s link show dev {INTERFACE}"));
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let received = listed[0]["stats64"]["rx"]["packets"].as_u64();
        let snmp = self
            .server
            .run(|| fs::read_to_string("/proc/thread-self/net/snmp"));
        Accounts {
            received: received.unwrap_or_default(),
            delivered: delivered(&snmp.unwrap_or_default()),
            cpu: cpus::time_of(self.receiver),
        }
    }
}

impl Accounts {
    fn until(self, later: &Self, sent: u64, took: Duration) -> FloodCost {
        FloodCost {
            took,
            sent,
            received: later.received.saturating_sub(self.received),
            delivered: later.delivered.saturating_sub(self.delivered),
            cpu: later.cpu.saturating_sub(self.cpu),
        }
    }
}

/// Received segments and datagrams, also those without a receiver, of /proc/net/snmp.
fn delivered(snmp: &str) -> u64 {
    let value = |protocol: &str, name: &str| {
        let mut lines = snmp.lines().filter(|line| line.starts_with(protocol));
        let names = lines.next()?;
        let values = lines.next()?;
        let mut both = names.split(' ').zip(values.split(' '));
        both.find(|(found, _)| *found == name)?
            .1
            .parse::<u64>()
            .ok()
    };
    [
        ("Tcp:", "InSegs"),
        ("Udp:", "InDatagrams"),
        ("Udp:", "NoPorts"),
    ]
    .into_iter()
    .filter_map(|(protocol, name)| value(protocol, name))
    .sum()
}

/// Gives each queue of an interface a thread that receives, on one CPU, and returns their numbers: at least one.
pub(super) fn own_receivers(host: &Namespace, interface: &str, cpu: usize) -> Result<Vec<i32>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let before = receivers(interface);
    // Without segmentation offload, what the other end sends goes through the same queue as a flood.
    let mut offload = host.command("ethtool");
    offload.args(["-K", interface, "gro", "on", "tso", "off", "gso", "off"]);
    drop(finish(&mut offload, PATIENCE).ok());
    let [launcher, words @ ..] = own_mounts(THREADED);
    let mut threaded = host.command(launcher);
    threaded.args(words).arg(interface);
    let ran = finish(&mut threaded, PATIENCE);
    ensure!(
        ran.code == Some(0),
        "this kernel gives a network queue no thread of its own (Linux 5.12 does)\n{ran}"
    );
    let new: Vec<i32> = receivers(interface).difference(&before).copied().collect();
    ensure!(!new.is_empty(), "no thread of {interface} appeared");
    for receiver in &new {
        cpus::pin_task(*receiver, cpu);
        cpus::as_soft_interrupt(*receiver);
    }
    Ok(new)
}

/// Kernel threads that receive for interfaces of this name, in all namespaces.
fn receivers(interface: &str) -> BTreeSet<i32> {
    let name = format!("napi/{interface}-");
    let is_one = |id: &i32| {
        let comm = fs::read_to_string(format!("/proc/{id}/comm"));
        comm.is_ok_and(|comm| comm.starts_with(&name))
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_one)
        .collect()
}

/// Index of an interface of the calling thread's namespace.
fn index(interface: &str) -> Result<u32> {
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    ensure!(index != 0, "no interface {interface}");
    Ok(index)
}

fn hex(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
