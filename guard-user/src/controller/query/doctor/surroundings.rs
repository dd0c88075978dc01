//! Settings of the kernel that guard leans on, and what else firewalls or bans here.

use std::path::Path;

use super::Finding;
use crate::{
    host::syn_cookies,
    moving_in::other_firewalls::{self, OtherFirewall},
};

pub(super) fn examine() -> Vec<Finding> {
    let mut found = Vec::new();
    if syn_cookies::are_off() {
        found.push(
            Finding::note(
                "sysctl",
                "net.ipv4.tcp_syncookies is 0: a listener whose queue a flood fills answers nobody",
            )
            .remedy(
                "`sysctl -w net.ipv4.tcp_syncookies=1`, and the same in a file of /etc/sysctl.d",
            ),
        );
    }
    let others = OtherFirewall::found(Path::new("/"), &other_firewalls::processes());
    found.extend(others.into_iter().map(note));
    found
}

/// How it and guard get along.
fn note(other: OtherFirewall) -> Finding {
    let name = other.name();
    let (text, remedy) = match other {
        OtherFirewall::Ufw => (
            "is on: it filters what guard lets in, so a port must be open in both",
            "`guardctl import ufw` takes its rules over, then `ufw disable`",
        ),
        OtherFirewall::Firewalld => (
            "is on: it filters what guard lets in, so a port must be open in both",
            "`guardctl import firewalld` takes its zones over, then `systemctl disable --now firewalld`",
        ),
        OtherFirewall::Nftables => (
            "has a ruleset that is loaded at boot: it filters what guard lets in",
            "`guardctl import nft` takes a plain input chain over, then `systemctl disable --now nftables`",
        ),
        OtherFirewall::Iptables => (
            "has rules that are loaded at boot: they filter what guard lets in",
            "`guardctl import iptables` takes a plain INPUT chain over",
        ),
        OtherFirewall::Fail2ban => (
            "runs: guard bans failed logins by itself, and both would",
            "`guardctl import fail2ban`, then `systemctl disable --now fail2ban`; or let it ban with guard's action",
        ),
        OtherFirewall::CrowdSec => (
            "bans with rules that packets meet behind guard",
            "keep it, or give guard its list of decisions as a feed",
        ),
        OtherFirewall::Docker => (
            "runs: a port that it publishes is closed until a rule of guard opens it",
            "`guardctl audit` lists published ports; allow the port of the host",
        ),
    };
    Finding::note("beside", format!("{name} {text}")).remedy(remedy)
}
