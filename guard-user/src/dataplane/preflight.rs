//! What must be true before anything is attached: asked first, so that a refusal changes nothing.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use aya::programs::loaded_programs;
use guard_common::abi::names;

use super::pins;
use crate::{
    failure::{Exit, Failure},
    host::{Interface, Network},
    layout::Layout,
};

/// Capabilities (linux/capability.h), and whether CAP_SYS_ADMIN does for them.
struct Capability {
    number: u32,
    name: &'static str,
    is_in_sys_admin: bool,
}

const BPF: Capability = Capability {
    number: 39,
    name: "CAP_BPF",
    is_in_sys_admin: true,
};
/// Without it the verifier refuses to compute the length of a frame from two packet pointers.
const PERFMON: Capability = Capability {
    number: 38,
    name: "CAP_PERFMON",
    is_in_sys_admin: true,
};
const NET_ADMIN: Capability = Capability {
    number: 12,
    name: "CAP_NET_ADMIN",
    is_in_sys_admin: false,
};
const SYS_ADMIN: u32 = 21;

/// May this process load the program and attach it?
///
/// # Errors
/// Exit 4 naming what is missing.
pub fn may_load() -> Result<(), Failure> {
    capabilities(&[BPF, PERFMON, NET_ADMIN])
}

/// May this process take the program off?
///
/// # Errors
/// Exit 4 naming what is missing.
pub fn may_detach() -> Result<(), Failure> {
    capabilities(&[BPF, NET_ADMIN])
}

fn capabilities(needed: &[Capability]) -> Result<(), Failure> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(());
    };
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let has = |number: u32| effective >> number & 1 == 1;
    let missing: Vec<&str> = needed
        .iter()
        .filter(|needed| {
            let has_older = needed.is_in_sys_admin && has(SYS_ADMIN);
            !has(needed.number) && !has_older
        })
        .map(|needed| needed.name)
        .collect();
    let list = match missing.as_slice() {
        [] => return Ok(()),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    Err(Failure::new(Exit::NotPermitted, format!("missing {list}")).help("run the command as root"))
}

/// The interfaces of these names, fit for guard.
///
/// # Errors
/// Exit 6 for a name that does not exist, exit 9 for an interface without Ethernet frames, exit 10
/// for one that carries somebody else's program.
pub fn interfaces<'n>(
    layout: &Layout,
    network: &'n Network,
    wanted: &[String],
) -> Result<Vec<&'n Interface>, Failure> {
    let mut seen = BTreeSet::new();
    let ours: BTreeSet<u32> = pins::links(layout)?
        .iter()
        .map(|link| link.ifindex)
        .collect();
    let mut found = Vec::new();
    for name in wanted {
        if !seen.insert(name) {
            continue;
        }
        let interface = network.interface(name).ok_or_else(|| {
            let known: Vec<&str> = network
                .interfaces
                .iter()
                .map(|known| known.name.as_str())
                .collect();
            Failure::new(Exit::NotFound, format!("{name}: no such interface"))
                .help(format!("interfaces here: {}", known.join(", ")))
        })?;
        if !interface.is_ethernet {
            return Err(no_ethernet(network, interface));
        }
        if let Some(xdp) = interface.xdp
            && !ours.contains(&interface.index)
            && !is_let_go(interface, xdp.program)
        {
            return Err(foreign(interface, xdp.program));
        }
        found.push(interface);
    }
    Ok(found)
}

/// The kernel takes a link apart some time after its last pin or descriptor is gone, as after `disable`
/// or a killed command. A program of ours without a link of ours is about to go.
fn is_let_go(interface: &Interface, program: u32) -> bool {
    const PATIENCE: Duration = Duration::from_secs(3);
    if program_name(program).as_deref() != Some(names::INGRESS) {
        return false;
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let now = Network::read().unwrap_or_default();
        if now
            .by_index(interface.index)
            .is_some_and(|now| now.xdp.is_none())
        {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn program_name(program: u32) -> Option<String> {
    loaded_programs()
        .flatten()
        .find(|info| info.id() == program)
        .and_then(|info| info.name_as_str().map(str::to_owned))
        .filter(|name| !name.is_empty())
}

fn no_ethernet(network: &Network, interface: &Interface) -> Failure {
    let below: Vec<String> = network
        .default_interfaces()
        .into_iter()
        .filter(|name| {
            network
                .interface(name)
                .is_some_and(|found| found.is_ethernet)
        })
        .collect();
    let failure = Failure::new(
        Exit::Unsupported,
        format!(
            "{}: frames on this interface have no Ethernet header",
            interface.name
        ),
    );
    match below.as_slice() {
        [] => failure.help("protect the network card that its packets arrive on instead"),
        names => failure.help(format!(
            "its packets arrive on {}: `guardctl enable --iface {}`",
            names.join(", "),
            names[0]
        )),
    }
}

/// Somebody else's program sits on the interface.
#[must_use]
pub fn foreign(interface: &Interface, program: u32) -> Failure {
    let program = match program_name(program) {
        Some(name) => format!("\"{name}\" (program {program})"),
        None => format!("program {program}"),
    };
    Failure::new(
        Exit::ForeignProgram,
        format!(
            "{}: another XDP program is attached: {program}",
            interface.name
        ),
    )
    .help(format!(
        "detach it (`ip link set {} xdp off`, or stop the service that loaded it), or choose \
         another interface with --iface",
        interface.name
    ))
}
