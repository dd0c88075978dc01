//! The Debian packages that guard's tests and VM need, and how they get onto the machine without
//! starting a service.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{sh, workspace};

/// What the kernel and namespace tests, the demo and the benchmark call.
pub(crate) const TESTS: &[&str] = &[
    "iproute2",
    "iptables",
    "nftables",
    "ethtool",
    "procps",
    "tcpdump",
    "tshark",
    "nmap",
    "hping3",
    "netsniff-ng",
    "curl",
    "openssh-server",
    "openssh-client",
    "nginx-light",
    "apache2-bin",
    "busybox-static",
    "e2fsprogs",
    "util-linux",
    "docker.io",
    "ufw",
    "firewalld",
    "xdp-tools",
    "dnsmasq-base",
    "bind9-dnsutils",
    "isc-dhcp-client",
    "radvd",
    "conntrack",
    "systemd",
    "fail2ban",
    "rsyslog",
    "faketime",
    "openssl",
    "ngtcp2-client",
    "ngtcp2-server",
    "wireguard-go",
    "wireguard-tools",
    "python3",
    "python3-pip",
    "python3-websockets",
    "prometheus",
    "chromium",
    "crowdsec",
];

/// What `cargo xtask vm` calls, and what it copies into the guest.
pub(crate) const VM: &[&str] = &[
    "qemu-system-x86",
    "busybox-static",
    "dash",
    "iproute2",
    "ethtool",
    "xz-utils",
];

/// What `cargo xtask vps` calls; what the guest is made of comes from the archive.
pub(crate) const VPS: &[&str] = &[
    "qemu-system-x86",
    "mmdebstrap",
    "e2fsprogs",
    "iproute2",
    "ethtool",
    "dnsmasq-base",
    "tcpdump",
    "hping3",
    "procps",
    "dpkg",
    "binutils",
    "openssh-client",
];

/// What `cargo xtask dist` calls.
pub(crate) const DIST: &[&str] = &["dpkg", "binutils", "rpm", "tar", "gzip", "xz-utils"];

/// Services in the lists above: they must not run just because a test needs the program.
const SERVICES: &[(&str, &str)] = &[
    ("openssh-server", "ssh"),
    ("nginx-light", "nginx"),
    ("docker.io", "docker"),
    ("docker.io", "docker.socket"),
    ("ufw", "ufw"),
    ("firewalld", "firewalld"),
    ("radvd", "radvd"),
    ("fail2ban", "fail2ban"),
    ("rsyslog", "rsyslog"),
    ("ngtcp2-server", "ngtcp2d"),
    ("prometheus", "prometheus"),
    ("crowdsec", "crowdsec"),
];

/// Where CrowdSec's package looks whether this machine is known to CrowdSec's own servers. If there is nothing, its
/// installation registers the machine there, which a test has no need of.
const CROWDSEC_REGISTRATION: &str = "/etc/crowdsec/online_api_credentials.yaml";

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `wanted` that are missing; returns at once when none is.
pub(crate) fn ensure(wanted: &[&str], why: &str) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    if sh::find("dpkg-query").is_none() {
        bail!(
            "{why} needs {}, and this is not a Debian or Ubuntu system\n  help: install these programs and run this in a Debian 12 container or VM",
            wanted.join(" ")
        );
    }
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!("{why} needs Debian packages: {}", missing.join(" "));
    if !workspace::is_root() {
        bail!(
            "installing packages needs root\n  help: sudo apt-get install -y --no-install-recommends {}",
            missing.join(" ")
        );
    }
    // Two commands of xtask may come here at once: apt-get waits for its own lock over packages, not for the one over
    // its lists.
    let turn = workspace::target().join("packages.lock");
    fs::create_dir_all(workspace::target())?;
    let turn = fs::File::create(&turn).with_context(|| turn.display().to_string())?;
    turn.lock().context("cannot wait for the other xtask")?;
    let missing = self::missing(&missing)?;
    if missing.is_empty() {
        return Ok(());
    }
    let quiescence = NoServices::begin()?;
    if missing.contains(&"crowdsec") {
        keep_crowdsec_to_itself()?;
    }
    if !can_install(&missing) {
        sh::quiet(apt(["update"].iter().copied()).env("LC_ALL", "C"))
            .context("cannot refresh the package lists")?;
    }
    let args = ["install", "-y", "--no-install-recommends"];
    let installed = sh::quiet(&mut apt(args.into_iter().chain(missing.iter().copied())));
    drop(quiescence);
    installed.context("cannot install the Debian packages")?;
    disable_services(&missing);
    Ok(())
}

/// Which of `wanted` dpkg does not have installed.
pub(crate) fn missing<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(wanted);
    // It exits with 1 when it has never heard of one of them.
    let output = query.output().context("cannot start dpkg-query")?;
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(not_installed(wanted, &known))
}

fn not_installed<'a>(wanted: &[&'a str], known: &str) -> Vec<&'a str> {
    let installed: Vec<&str> = known
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    let absent = |name: &&&str| !installed.contains(*name);
    wanted.iter().filter(absent).copied().collect()
}

/// `apt-get` that asks nothing and waits for another apt-get that is at work.
pub(crate) fn apt<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = sh::command("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C");
    command
}

/// A comment in the place of credentials: the package then registers nowhere.
fn keep_crowdsec_to_itself() -> Result<()> {
    let path = Path::new(CROWDSEC_REGISTRATION);
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(path, "# cargo xtask: this machine registers nowhere\n")
        .with_context(|| format!("cannot write {CROWDSEC_REGISTRATION}"))
}

/// Whether the package lists on this machine already name all of them.
pub(crate) fn can_install(names: &[&str]) -> bool {
    let mut simulation = apt(["install", "-s", "--no-install-recommends"]
        .into_iter()
        .chain(names.iter().copied()));
    sh::output(&mut simulation).is_ok()
}

/// An installed service would be started at the next boot.
fn disable_services(installed: &[&str]) {
    if !Path::new("/run/systemd/system").is_dir() {
        return;
    }
    for (package, service) in SERVICES {
        if installed.contains(package)
            && let Err(error) = sh::run(&mut sh::command("systemctl", ["disable", service]))
        {
            println!("note: {error:#}; {service} may start at the next boot");
        }
    }
}

/// While this lives, no package starts its service: Debian's own switch for that, `policy-rc.d`.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(
            POLICY,
            "#!/bin/sh\n# cargo xtask: no service starts\nexit 101\n",
        )
        .with_context(|| format!("cannot write {POLICY}"))?;
        let guard = Self { ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            eprintln!(
                "xtask: cannot remove {POLICY}; remove it, or no package can start a service"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_unknown_or_removed_are_missing() {
        let known = "iproute2 installed\ncpio not-installed\nnmap config-files\n";

        let missing = not_installed(&["iproute2", "cpio", "nmap", "hping3"], known);

        assert_eq!(missing, ["cpio", "nmap", "hping3"]);
    }
}
