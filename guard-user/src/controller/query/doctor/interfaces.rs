//! The interfaces: what guard runs on and how, what else is attached there, and what is open.

use std::path::Path;

use super::Finding;
use crate::{
    controller::{Controller, InterfaceStatus, Status},
    dataplane::{interface::why::WhyGeneric, preflight},
    failure::Exit,
    host::{Interface, Network, distribution::NetworkTool, ethtool::Card, filters, source_check},
};

/// What every driver takes.
const PLAIN_MTU: u32 = 1500;

pub(super) fn examine(controller: &Controller, status: &Status) -> Vec<Finding> {
    let network = match controller.network() {
        Ok(network) => network,
        Err(failure) => return vec![Finding::failed("interface", &failure)],
    };
    let mut found = Vec::new();
    if status.protection.is_in_force() {
        for interface in &status.interfaces {
            found.extend(guarded(interface, &network));
        }
        found.extend(status.exposures.iter().map(|exposure| {
            let name = &exposure.interface;
            Finding::wrong("interface", Exit::Partial, exposure.to_string()).remedy(format!(
                "`guardctl enable --iface {name}` (with every other one to guard), or `unguarded = [\"{name}\"]` in guard.toml"
            ))
        }));
    } else {
        found.extend(to_be_guarded(controller, &network));
    }
    found.extend(programs_behind(status, &network));
    found.extend(source_checks(status, &network));
    found
}

/// What `enable` would attach to.
fn to_be_guarded(controller: &Controller, network: &Network) -> Vec<Finding> {
    let policy = controller
        .load()
        .map(|loaded| loaded.policy)
        .unwrap_or_default();
    let wanted = match controller.interfaces(&policy, network) {
        Ok(wanted) => wanted,
        Err(failure) => return vec![Finding::failed("interface", &failure)],
    };
    let of_one = |name: String| {
        let wanted = [name];
        match preflight::interfaces(controller.layout(), network, &wanted) {
            Err(failure) => Finding::failed("interface", &failure),
            Ok(_) => Finding::good(
                "interface",
                format!("{}: can be guarded", described(&wanted[0], network)),
            ),
        }
    };
    wanted.into_iter().map(of_one).collect()
}

fn guarded(status: &InterfaceStatus, network: &Network) -> Vec<Finding> {
    let name = &status.name;
    let shown = described(name, network);
    let Some(mode) = status.mode else {
        return vec![
            Finding::wrong("interface", Exit::Partial, format!("{name}: UNPROTECTED"))
                .remedy("`guardctl reload`; the daemon does it by itself"),
        ];
    };
    let mut found = Vec::new();
    if let Some(fault) = status.fault {
        let remedy = "`guardctl reload`; the daemon does it by itself";
        found.push(
            Finding::wrong("interface", Exit::Partial, format!("{name}: {fault}")).remedy(remedy),
        );
    }
    if !status.replies {
        found.push(
            Finding::wrong(
                "interface",
                Exit::Partial,
                format!("{name}: REPLIES ARE NOT RECOGNISED"),
            )
            .remedy("`guardctl reload`; the daemon does it by itself"),
        );
    }
    found.push(match &status.why_generic {
        None => Finding::good(
            "interface",
            format!("{shown}: guarded, {} mode", mode.label()),
        ),
        Some(why) => {
            let note = format!(
                "{shown}: guarded, {} mode, slower than native: {why}",
                mode.label()
            );
            let finding = Finding::note("interface", note);
            match way_to_native(name, why) {
                Some(remedy) => finding.remedy(remedy),
                None => finding,
            }
        }
    });
    found
}

/// What takes the program into the driver, if anything may.
fn way_to_native(name: &str, why: &WhyGeneric) -> Option<String> {
    let tool = NetworkTool::of(Path::new("/"));
    match why {
        WhyGeneric::Chosen => Some(format!(
            "`guardctl enable --iface {name} --mode auto` tries native mode"
        )),
        WhyGeneric::Mtu(_) => Some(format!(
            "`ip link set dev {name} mtu {PLAIN_MTU}`, then `guardctl reload`; for good: {}",
            tool.keep_mtu(name, PLAIN_MTU)
        )),
        // The driver lies; only its maker can change that.
        WhyGeneric::Blind => None,
        WhyGeneric::Refused(_) => {
            let offloads = Card::of(name).offloads;
            if offloads.is_empty() {
                return None;
            }
            let off: Vec<String> = offloads.iter().map(|word| format!("{word} off")).collect();
            let command = format!("ethtool -K {name} {}", off.join(" "));
            let keep = tool.keep_command(name, &command);
            Some(format!(
                "`{command}`, then `guardctl reload`; for good: {keep}"
            ))
        }
    }
}

/// `eth0 (virtio_net, 2 of 4 queues, MTU 1500)`
fn described(name: &str, network: &Network) -> String {
    let card = Card::of(name);
    let queues = card
        .queues
        .map(|(used, most)| format!("{used} of {most} queues"));
    let mtu = network
        .interface(name)
        .map(|interface| format!("MTU {}", interface.mtu));
    let driver = Some(card.driver).filter(|driver| !driver.is_empty());
    let parts: Vec<String> = driver.into_iter().chain(queues).chain(mtu).collect();
    match parts.as_slice() {
        [] => name.to_owned(),
        parts => format!("{name} ({})", parts.join(", ")),
    }
}

fn known<'n>(status: &Status, network: &'n Network) -> Vec<&'n Interface> {
    let names = status.interfaces.iter();
    names
        .filter_map(|known| network.interface(&known.name))
        .collect()
}

/// Programs of traffic control see what guard lets in.
fn programs_behind(status: &Status, network: &Network) -> Vec<Finding> {
    let interfaces = known(status, network).into_iter();
    interfaces
        .filter_map(|interface| {
            let others = filters::others(interface.index).ok()?;
            (!others.is_empty()).then(|| {
                let names = others.join(", ");
                let text = format!(
                    "{}: other programs of tc see what guard lets in: {names}",
                    interface.name
                );
                Finding::note("interface", text)
            })
        })
        .collect()
}

fn source_checks(status: &Status, network: &Network) -> Vec<Finding> {
    let interfaces = known(status, network).into_iter();
    interfaces
        .filter(|interface| source_check::is_off(&interface.name))
        .map(|interface| {
            let name = &interface.name;
            let text = format!("{name}: the kernel does not check sources against routes (rp_filter is 0)");
            Finding::note("interface", text).remedy(format!(
                "`sysctl -w net.ipv4.conf.{name}.rp_filter=1`, or 2 with several ways out; and the same in /etc/sysctl.d"
            ))
        })
        .collect()
}
