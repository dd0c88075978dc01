//! What must be true before anything is attached: asked first, so that a refusal changes nothing.

use std::{collections::BTreeSet, fs};

use aya::programs::loaded_programs;

use super::pins;
use crate::{
    failure::{Exit, Failure},
    host::{Interface, Network},
    layout::Layout,
};

/// Capabilities that loading and attaching need (linux/capability.h).
const NEEDED: [(u32, &str); 2] = [(39, "CAP_BPF"), (12, "CAP_NET_ADMIN")];
/// Where the kernel had CAP_SYS_ADMIN do for CAP_BPF.
const SYS_ADMIN: u32 = 21;

/// Checks the capabilities of this process.
///
/// # Errors
/// Exit 4 naming what is missing.
pub fn capabilities() -> Result<(), Failure> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(());
    };
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let has = |number: u32| effective >> number & 1 == 1;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(number, name)| {
            let stands_in = *name == "CAP_BPF" && has(SYS_ADMIN);
            !has(*number) && !stands_in
        })
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotPermitted,
        format!("missing {}", missing.join(" and ")),
    )
    .help("run the command as root"))
}

/// The interfaces of these names, fit for guard.
///
/// # Errors
/// Exit 6 for a name that does not exist, exit 9 for an interface without Ethernet frames, exit 10
/// for one that carries somebody else's program.
pub fn interfaces<'n>(
    layout: &Layout,
    network: &'n Network,
    names: &[String],
) -> Result<Vec<&'n Interface>, Failure> {
    let mut seen = BTreeSet::new();
    let ours: BTreeSet<u32> = pins::links(layout)?
        .iter()
        .map(|link| link.ifindex)
        .collect();
    let mut found = Vec::new();
    for name in names {
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
        {
            return Err(foreign(interface, xdp.program));
        }
        found.push(interface);
    }
    Ok(found)
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
    let name = loaded_programs()
        .flatten()
        .find(|info| info.id() == program)
        .and_then(|info| info.name_as_str().map(str::to_owned))
        .filter(|name| !name.is_empty());
    let program = match name {
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
