//! One emulated computer: its hardware, and the qemu that plays it.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    agent,
    debian::{Edition, System},
    network::{MAC, Network},
};

/// What differs between the computers that scenes are played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hardware {
    /// What is installed on it.
    pub(super) edition: Edition,
    /// The NIC, as qemu calls it.
    pub(super) card: &'static str,
    /// More properties of the NIC, as qemu takes them: `mrg_rxbuf=off`.
    pub(super) nic: &'static str,
    /// Pairs of queues of the NIC, and CPUs.
    pub(super) queues: u32,
    /// More words for the kernel.
    pub(super) kernel: &'static str,
    /// What its clock shows when it is switched on; empty = the time of day.
    pub(super) clock: &'static str,
    /// Megabytes.
    pub(super) memory: u32,
}

impl Hardware {
    /// What most scenes are played on.
    pub(super) const PLAIN: Self = Self {
        edition: Edition::Small,
        card: VIRTIO_NET,
        nic: "",
        queues: 1,
        kernel: "",
        clock: "",
        memory: 512,
    };

    /// The NIC with all that is said of it.
    fn device(&self) -> String {
        let mut device = format!("{},netdev=net,mac={MAC},addr=0x3", self.card);
        if self.queues > 1 {
            // A vector for each queue of both directions, one for the card, one for its settings.
            let vectors = 2 * self.queues + 2;
            device.push_str(&format!(",mq=on,vectors={vectors}"));
        }
        if !self.nic.is_empty() {
            device.push(',');
            device.push_str(self.nic);
        }
        device
    }
}

/// The NIC that most hosts of VPS offer.
pub(super) const VIRTIO_NET: &str = "virtio-net-pci";

/// Does the disk remember what was written after the computer is gone?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Kept,
    Snapshot,
}

/// Words for every kernel.
const KERNEL: &str = "root=LABEL=vps rw console=ttyS0 quiet mitigations=off random.trust_cpu=on tsc=reliable panic=-1";

/// A running qemu, which ends with the value.
pub(super) struct Machine {
    child: Child,
    pub(super) socket: PathBuf,
    pub(super) console: PathBuf,
}

impl Machine {
    /// Powers it on.
    pub(super) fn start(
        system: &System,
        hardware: &Hardware,
        disk: Disk,
        payload: &std::path::Path,
        run: &std::path::Path,
        network: &Network,
    ) -> Result<Self> {
        let socket = run.join("agent.sock");
        let console = run.join("console.log");
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let snapshot = match disk {
            Disk::Kept => "off",
            Disk::Snapshot => "on",
        };
        let queues = match hardware.queues {
            1 => String::new(),
            several => format!(",queues={several}"),
        };
        // One CPU if it may be: several race with the kernel's patching of its own code, and a guest hangs now and
        // then.
        let mut qemu = network.inside("qemu-system-x86_64", []);
        qemu.args(["-accel", "tcg,thread=single", "-cpu", "max", "-M", "pc"])
            .args(["-smp", &hardware.queues.to_string()])
            .args(["-m", &hardware.memory.to_string()])
            .args(["-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-monitor", "none"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-kernel")
            .arg(&system.kernel)
            .arg("-initrd")
            .arg(&system.initrd)
            .arg("-append")
            .arg(format!("{KERNEL} {}", hardware.kernel))
            .args(["-device", "virtio-rng-pci"])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,cache=unsafe,snapshot={snapshot}",
                system.disk.display()
            ))
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,readonly=on",
                payload.display()
            ))
            .arg("-netdev")
            .arg(format!(
                "tap,id=net,ifname={},script=no,downscript=no,vhost=off{queues}",
                network.tap()
            ))
            .arg("-device")
            .arg(hardware.device())
            .args(["-device", "virtio-serial-pci"])
            .arg("-chardev")
            .arg(format!(
                "socket,id=agent,path={},server=on,wait=off",
                socket.display()
            ))
            .arg("-device")
            .arg(format!("virtserialport,chardev=agent,name={}", agent::PORT))
            .stdin(Stdio::null());
        if !hardware.clock.is_empty() {
            qemu.arg("-rtc").arg(format!("base={}", hardware.clock));
        }
        let child = qemu.spawn().context(
            "cannot start qemu-system-x86_64\n  help: apt-get install --no-install-recommends qemu-system-x86",
        )?;
        Ok(Self {
            child,
            socket,
            console,
        })
    }

    /// Waits until the guest has switched itself off.
    pub(super) fn is_off_within(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("the guest is still on after {} s", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Fails when qemu has ended.
    pub(super) fn is_on(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the guest went off (qemu: {status})"),
        }
    }

    /// For people.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Off already, in the usual case.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_what_its_hardware_says() {
        let plain = Hardware::PLAIN.device();
        assert_eq!(
            plain,
            format!("virtio-net-pci,netdev=net,mac={MAC},addr=0x3")
        );

        let more = Hardware {
            nic: "ctrl_guest_offloads=off",
            queues: 2,
            ..Hardware::PLAIN
        };
        let expected = format!("{plain},mq=on,vectors=6,ctrl_guest_offloads=off");
        assert_eq!(more.device(), expected);
    }
}
