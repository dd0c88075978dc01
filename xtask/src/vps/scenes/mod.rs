//! What is played on the server. A scene gets a guest that is up, with guard installed, and fails
//! with what it saw.

mod adversity;
mod boot;
mod cards;
mod daemon;
mod docker;
mod driver;
mod drop_log;
mod floods;
mod kept;
mod kernel;
mod leases;
mod load;
mod logins;
mod managers;
mod nic;
mod package;
mod setup;
mod stacked;

use anyhow::Result;

use super::{
    debian::{Edition, LATE_DRIVER},
    guest::Guest,
    machine::Hardware,
};

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

const VIRTIO: Hardware = Hardware::PLAIN;

/// As some hosts of VPS offer it: without mergeable buffers, and with large packets from the host.
const BIG_PACKETS: Hardware = Hardware {
    nic: "mrg_rxbuf=off",
    ..VIRTIO
};

/// The NIC has no driver until `late-nic.service` loads it.
const LATE: Hardware = Hardware {
    kernel: LATE_DRIVER,
    ..VIRTIO
};

/// Nothing is put together on the way from the cable to the guest.
const NO_OFFLOADS: &str =
    "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off";

/// A kernel that keeps even root from changing it.
const INTEGRITY: Hardware = Hardware {
    kernel: "lockdown=integrity",
    ..VIRTIO
};

/// And from reading it.
const CONFIDENTIALITY: Hardware = Hardware {
    kernel: "lockdown=confidentiality",
    ..VIRTIO
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
        name: "lockdown",
        about: "a kernel that is locked down for integrity takes the programs, and doctor says so",
        hardware: INTEGRITY,
        set: Set::ByName,
        play: kernel::locked_down,
    },
    Scene {
        name: "confidentiality",
        about: "the same for confidentiality",
        hardware: CONFIDENTIALITY,
        set: Set::ByName,
        play: kernel::locked_down,
    },
    Scene {
        name: "clock",
        about: "a clock that stands in 1970 at boot and is set later shortens and lengthens no ban",
        hardware: Hardware {
            clock: "1970-01-01",
            ..VIRTIO
        },
        set: Set::ByName,
        play: kernel::clock,
    },
    Scene {
        name: "card-queues",
        about: "a NIC with several queues: modes and transfers at two MTUs",
        hardware: Hardware {
            queues: 2,
            ..VIRTIO
        },
        set: Set::ByName,
        play: cards::card,
    },
    Scene {
        name: "card-plain",
        about: "a NIC that puts no packets together",
        hardware: Hardware {
            nic: NO_OFFLOADS,
            ..VIRTIO
        },
        set: Set::ByName,
        play: cards::card,
    },
    Scene {
        name: "card-fixed",
        about: "a NIC whose offloads the guest cannot change",
        hardware: Hardware {
            nic: "ctrl_guest_offloads=off",
            ..VIRTIO
        },
        set: Set::ByName,
        play: cards::card,
    },
    Scene {
        name: "card-e1000e",
        about: "a NIC whose driver takes no programs",
        hardware: Hardware {
            edition: Edition::Metal,
            card: "e1000e",
            ..VIRTIO
        },
        set: Set::ByName,
        play: cards::card,
    },
    Scene {
        name: "docker",
        about: "what a real Docker publishes is closed until a rule opens it, also after a reboot",
        hardware: Hardware {
            edition: Edition::Docker,
            memory: 1024,
            ..VIRTIO
        },
        set: Set::ByName,
        play: docker::docker,
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
        name: "drop-log",
        about: "dropped packets stand in the journal with fields, and who tries port after port is banned",
        hardware: VIRTIO,
        set: Set::Short,
        play: drop_log::drop_log,
    },
    Scene {
        name: "cookies",
        about: "a SYN flood at sshd is answered with cookies natively, and honest clients come in",
        hardware: VIRTIO,
        set: Set::ByName,
        play: floods::cookies,
    },
    Scene {
        name: "killed",
        about: "the daemon is killed: nothing opens, systemd starts it again, its jails ban",
        hardware: VIRTIO,
        set: Set::ByName,
        play: daemon::killed,
    },
    Scene {
        name: "card",
        about: "a NIC with one queue: modes and transfers at two MTUs",
        hardware: VIRTIO,
        set: Set::ByName,
        play: cards::card,
    },
    Scene {
        name: "networkd",
        about: "systemd-networkd configures nothing before guard is there",
        hardware: VIRTIO,
        set: Set::ByName,
        play: managers::networkd,
    },
    Scene {
        name: "dhcp",
        about: "leases are renewed and advertisements heard, by ifupdown and by systemd-networkd",
        hardware: VIRTIO,
        set: Set::ByName,
        play: leases::dhcp,
    },
    Scene {
        name: "static",
        about: "a static /32 with a gateway outside it, and fe80::1 as the gateway of IPv6",
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
        play: adversity::full_disk,
    },
    Scene {
        name: "chroot",
        about: "the package comes and goes in a chroot, and the host's filter stays",
        hardware: VIRTIO,
        set: Set::ByName,
        play: adversity::chroot,
    },
    Scene {
        name: "interrupted",
        about: "dpkg is killed in the middle of upgrades, and the filter stays in force",
        hardware: VIRTIO,
        set: Set::ByName,
        play: adversity::interrupted,
    },
    Scene {
        name: "read-only",
        about: "with a read-only /etc commands say so and change nothing",
        hardware: VIRTIO,
        set: Set::ByName,
        play: adversity::read_only,
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
