//! Which device a name of the policy means: the one that has the name, else the one that had it and
//! was renamed since. A device is known again by the link that our program hangs on, and after a
//! reboot by the address of its hardware.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::policy_files::{remove, stage_failure};
use crate::{
    dataplane::interface::attachments::Attachments,
    failure::{Exit, Failure},
    host::{Interface, Network},
    layout::Layout,
    state_file,
    text::staged::write_state,
};

/// What is known of a device beside its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Device {
    /// Its number since this boot; means something only while a link of ours has it.
    index: u32,
    /// The address that it was made with.
    hardware: Option<String>,
}

impl Device {
    fn of(interface: &Interface) -> Self {
        Self {
            index: interface.index,
            hardware: interface.hardware.clone(),
        }
    }
}

/// Guard is off: what was known of interfaces is of no use to anybody.
///
/// # Errors
/// When a file cannot be removed.
pub(in crate::controller) fn forget_interfaces(layout: &Layout) -> Result<(), Failure> {
    Attachments::forget(layout)?;
    remove(&layout.devices())
}

/// Names that the policy means, and the devices that had them last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::controller) struct Devices(BTreeMap<String, Device>);

/// A name of the policy whose device is called something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The name that the policy means.
    pub from: String,
    /// What the device is called.
    pub to: String,
}

impl Devices {
    /// What was saved last; nothing, when it cannot be read.
    pub(in crate::controller) fn read(layout: &Layout) -> Self {
        let saved = state_file::read(&layout.devices()).ok();
        saved
            .and_then(|saved| serde_json::from_slice(&saved).ok())
            .unwrap_or_default()
    }

    /// Which of the names are on other devices now than their own. `linked` are the numbers of the
    /// devices that run the program of one of our links.
    pub(in crate::controller) fn renamed(
        &self,
        names: &[String],
        network: &Network,
        linked: &BTreeSet<u32>,
    ) -> Vec<Renamed> {
        let mut renamed: Vec<Renamed> = Vec::new();
        for name in names {
            // Whoever has the name is meant, whatever had it before.
            if network.interface(name).is_some() {
                continue;
            }
            let Some(known) = self.0.get(name) else {
                continue;
            };
            let by_link = network
                .by_index(known.index)
                .filter(|interface| linked.contains(&interface.index));
            let by_hardware = || {
                let has_it = |interface: &&Interface| {
                    known.hardware.is_some() && interface.hardware == known.hardware
                };
                network.interfaces.iter().find(has_it)
            };
            if let Some(interface) = by_link.or_else(by_hardware) {
                renamed.push(Renamed {
                    from: name.clone(),
                    to: interface.name.clone(),
                });
            }
        }
        renamed
    }

    /// Remembers the devices of these names, and those that are gone as they were.
    ///
    /// # Errors
    /// When the state folder is not writable.
    pub(in crate::controller) fn remember(
        &self,
        names: &[String],
        renamed: &[Renamed],
        network: &Network,
        layout: &Layout,
    ) -> Result<(), Failure> {
        let mut devices = BTreeMap::new();
        for name in names {
            let present = network.interface(current(name, renamed)).map(Device::of);
            if let Some(device) = present.or_else(|| self.0.get(name).cloned()) {
                devices.insert(name.clone(), device);
            }
        }
        let devices = Self(devices);
        if devices == *self {
            return Ok(());
        }
        let text = serde_json::to_string(&devices)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        write_state(&layout.devices(), &text).map_err(|error| stage_failure(&error))
    }
}

/// What a device that the policy means is called.
fn current<'n>(name: &'n str, renamed: &'n [Renamed]) -> &'n str {
    let found = renamed.iter().find(|renamed| renamed.from == name);
    found.map_or(name, |renamed| &renamed.to)
}

/// The names that the devices have, each once.
pub(in crate::controller) fn current_names(names: &[String], renamed: &[Renamed]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let name = current(name, renamed);
        if found.iter().all(|known| known != name) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, index: u32, hardware: Option<&str>) -> Interface {
        Interface {
            name: name.to_owned(),
            index,
            is_ethernet: true,
            mtu: 1500,
            hardware: hardware.map(str::to_owned),
            ..Interface::default()
        }
    }

    fn network(interfaces: &[(&str, u32, Option<&str>)]) -> Network {
        Network {
            interfaces: interfaces
                .iter()
                .map(|(name, index, hardware)| interface(name, *index, *hardware))
                .collect(),
            ..Network::default()
        }
    }

    #[test]
    fn a_renamed_device_is_known_by_its_link_or_its_hardware_and_by_nothing_else() {
        const MAC: Option<&str> = Some("52:54:00:00:00:10");
        const OTHER: Option<&str> = Some("52:54:00:00:00:11");
        type Case = (
            &'static str,
            Option<&'static str>,
            &'static [(&'static str, u32, Option<&'static str>)],
            &'static [u32],
            Option<&'static str>,
        );
        let cases: [Case; 8] = [
            ("nothing changed", MAC, &[("ens3", 2, MAC)], &[2], None),
            ("renamed", None, &[("wan0", 2, None)], &[2], Some("wan0")),
            (
                "its number is another's",
                None,
                &[("wan0", 2, None)],
                &[],
                None,
            ),
            (
                "after a reboot",
                MAC,
                &[("lan", 2, OTHER), ("eth0", 3, MAC)],
                &[],
                Some("eth0"),
            ),
            (
                "another in its place",
                MAC,
                &[("ens3", 2, OTHER), ("wan0", 3, MAC)],
                &[],
                None,
            ),
            ("gone", MAC, &[("wan0", 3, OTHER)], &[], None),
            (
                "no hardware is no address",
                None,
                &[("veth1", 9, None)],
                &[],
                None,
            ),
            (
                "link before hardware",
                MAC,
                &[("a", 2, OTHER), ("b", 3, MAC)],
                &[2],
                Some("a"),
            ),
        ];
        for (case, hardware, now, linked, expected) in cases {
            let name = "ens3".to_owned();
            let device = Device::of(&interface("ens3", 2, hardware));
            let devices = Devices(BTreeMap::from([(name.clone(), device)]));
            let linked = linked.iter().copied().collect();

            let renamed = devices.renamed(std::slice::from_ref(&name), &network(now), &linked);

            let names = current_names(&[name], &renamed);
            let expected = expected.unwrap_or("ens3");
            assert_eq!(names, [expected], "{case}");
        }
    }

    #[test]
    fn a_device_is_remembered_under_the_name_of_the_policy_also_while_it_is_gone() {
        let folder = crate::ruleset::testing::Folder::new();
        let at = |name: &str| folder.path().join(name);
        let layout = Layout {
            etc: at("etc"),
            state: at("state"),
            run: at("run"),
            bpffs: at("bpf"),
            units: at("units"),
            version: guard_common::abi::ABI_VERSION,
        };
        let names = ["ens3".to_owned()];
        let none = BTreeSet::new();
        let remember = |network: &Network| {
            let devices = Devices::read(&layout);
            let renamed = devices.renamed(&names, network, &none);
            devices
                .remember(&names, &renamed, network, &layout)
                .expect("saved");
        };
        remember(&network(&[("ens3", 2, Some("52:54:00:00:00:10"))]));
        remember(&network(&[]));
        remember(&network(&[("wan0", 7, Some("52:54:00:00:00:10"))]));

        let again = network(&[("eth0", 5, Some("52:54:00:00:00:10"))]);
        let renamed = Devices::read(&layout).renamed(&names, &again, &none);

        assert_eq!(current_names(&names, &renamed), ["eth0"]);
    }
}
