//! What is played on the server. A scene gets a guest that is up, with guard installed, and fails
//! with what it saw.

mod boot;
mod driver;
mod load;
mod logins;
mod managers;
mod nic;
mod package;
mod setup;
mod stacked;

use anyhow::Result;

use super::{debian::LATE_DRIVER, guest::Guest, machine::Hardware};

/// One scene.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Scenes with the same hardware follow each other in one guest.
    pub(super) hardware: Hardware,
    set: Set,
    pub(super) play: fn(&mut Guest<'_>) -> Result<()>,
}

/// When a scene is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// In CI, and when no scene is named.
    Short,
    /// Only when it is named.
    ByName,
}

const VIRTIO: Hardware = Hardware {
    nic: "",
    kernel: "",
};

/// As some hosts of VPS offer it: without mergeable buffers, and with large packets from the host.
const BIG_PACKETS: Hardware = Hardware {
    nic: "mrg_rxbuf=off",
    kernel: "",
};

/// The NIC has no driver until `late-nic.service` loads it.
const LATE: Hardware = Hardware {
    nic: "",
    kernel: LATE_DRIVER,
};

/// All of them, in the order in which they are played. The last leaves a server that none could go on with.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "blind",
        about: "a driver that hands the program no packets is found out",
        hardware: BIG_PACKETS,
        set: Set::Short,
        play: driver::blind,
    },
    Scene {
        name: "late-driver",
        about: "a NIC whose driver comes after guard was loaded is protected before it is configured",
        hardware: LATE,
        set: Set::ByName,
        play: managers::late_driver,
    },
    Scene {
        name: "cold-boot",
        about: "nothing gets in before guard is in force, and all of it is there",
        hardware: VIRTIO,
        set: Set::Short,
        play: boot::cold,
    },
    Scene {
        name: "nic-anew",
        about: "a NIC whose driver is bound anew is protected before it is configured",
        hardware: VIRTIO,
        set: Set::Short,
        play: nic::anew,
    },
    Scene {
        name: "renamed",
        about: "a NIC that is renamed stays protected, and status follows",
        hardware: VIRTIO,
        set: Set::Short,
        play: nic::renamed,
    },
    Scene {
        name: "reboot",
        about: "a reboot opens nothing and forgets nothing",
        hardware: VIRTIO,
        set: Set::Short,
        play: boot::reboot,
    },
    Scene {
        name: "load-fails",
        about: "where nothing can be loaded, status, units and systemd say so, and why",
        hardware: VIRTIO,
        set: Set::Short,
        play: load::fails,
    },
    Scene {
        name: "large-mtu",
        about: "an MTU that is raised loses no large frame, now and after a reboot",
        hardware: VIRTIO,
        set: Set::Short,
        play: driver::large_mtu,
    },
    Scene {
        name: "disable-large-mtu",
        about: "a program comes off at an MTU at which the driver takes none",
        hardware: VIRTIO,
        set: Set::Short,
        play: driver::disable_at_a_large_mtu,
    },
    Scene {
        name: "networkd",
        about: "systemd-networkd configures nothing before guard is there",
        hardware: VIRTIO,
        set: Set::ByName,
        play: managers::networkd,
    },
    Scene {
        name: "static",
        about: "a static /32 with a gateway outside it",
        hardware: VIRTIO,
        set: Set::ByName,
        play: managers::static_address,
    },
    Scene {
        name: "renamed-at-boot",
        about: "a NIC that comes back from a reboot with another name is known by its hardware",
        hardware: VIRTIO,
        set: Set::ByName,
        play: managers::renamed_at_boot,
    },
    Scene {
        name: "stacked",
        about: "VLAN, bond, macvlan, ipvlan and VRF are covered where the guide says so",
        hardware: VIRTIO,
        set: Set::ByName,
        play: stacked::stacked,
    },
    Scene {
        name: "logins",
        about: "five failed logins at the real sshd are a ban, also after a reboot",
        hardware: VIRTIO,
        set: Set::ByName,
        play: logins::logins,
    },
    Scene {
        name: "setup",
        about: "setup by ssh: undone when nobody confirms, kept when somebody does; doctor is content",
        hardware: VIRTIO,
        set: Set::ByName,
        play: setup::setup,
    },
    Scene {
        name: "upgrade",
        about: "a package is upgraded under traffic without a gap, and one of another ABI is refused",
        hardware: VIRTIO,
        set: Set::Short,
        play: package::upgrade,
    },
    Scene {
        name: "downgrade",
        about: "an older package takes over without a gap",
        hardware: VIRTIO,
        set: Set::ByName,
        play: package::downgrade,
    },
    Scene {
        name: "full-disk",
        about: "an upgrade that finds no room leaves everything as it was",
        hardware: VIRTIO,
        set: Set::ByName,
        play: package::full_disk,
    },
    Scene {
        name: "chroot",
        about: "the package comes and goes in a chroot, and the host's filter stays",
        hardware: VIRTIO,
        set: Set::ByName,
        play: package::chroot,
    },
    Scene {
        name: "purge",
        about: "a purge leaves nothing, and the package can come back",
        hardware: VIRTIO,
        set: Set::Short,
        play: package::purge,
    },
];

/// What can be asked for.
pub(super) fn names() -> Vec<&'static str> {
    SCENES.iter().map(|scene| scene.name).collect()
}

/// Those that were asked for.
pub(super) fn chosen(names: &[String]) -> Vec<&'static Scene> {
    let is_chosen = |scene: &&Scene| {
        if names.is_empty() {
            scene.set == Set::Short
        } else {
            names.iter().any(|name| name == scene.name)
        }
    };
    SCENES.iter().filter(is_chosen).collect()
}
