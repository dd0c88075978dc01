//! The hosts and servers of the show, and guard on the server.

use std::process::Command;

use super::screen;
use crate::{
    lab::{Instance, Nginx, Ran, Sshd, Topology, guardctl_path},
    require,
};

/// Where the friend may go beside SSH and HTTP.
pub const APPLICATION: u16 = 9000;

/// Programs that the show needs, and the packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("nginx", "nginx-light"),
    ("nmap", "nmap"),
];

/// What is missing on this machine, with the command that helps.
#[must_use]
pub fn missing() -> Option<String> {
    let absent: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| require::find(program).is_none())
        .collect();
    if absent.is_empty() {
        return None;
    }
    let names: Vec<&str> = absent.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = absent.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Some(format!(
        "not installed: {}\n  help: `cargo xtask setup --tests`, or `apt-get install --no-install-recommends {}`",
        names.join(", "),
        packages.join(" ")
    ))
}

/// Hosts, servers, guard. What is declared first is dropped first.
#[derive(Debug)]
pub struct Stage {
    /// guard on the server.
    pub guard: Instance,
    /// nginx on ports 80 and [`APPLICATION`].
    pub nginx: Nginx,
    /// sshd on port 22.
    pub sshd: Sshd,
    /// The hosts.
    pub lab: Topology,
}

impl Stage {
    /// Sets everything up, guard off and without a policy.
    #[must_use]
    pub fn set() -> Self {
        let lab = Topology::new();
        // Answers to senders that do not exist end here, as they do on the Internet.
        lab.wan.ip("route add blackhole default");
        lab.wan.ip("-6 route add blackhole default");
        Self {
            guard: Instance::new(&lab.srv),
            nginx: Nginx::on_ports(&lab.srv, &[80, APPLICATION]),
            sshd: Sshd::start(&lab.srv),
            lab,
        }
    }

    /// Runs a command of guard on the server and shows it.
    pub fn guardctl(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = self.guard.guardctl(&words);
        screen::command("srv", &format!("guardctl {line}"), &ran);
        ran.ok()
    }

    /// A command on the attacker's host, for people to read as it runs.
    #[must_use]
    pub fn attacker(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.lab.attacker.command(words.next().unwrap_or("true"));
        command.args(words);
        command
    }

    /// Leaves everything standing, and returns how to go in and how to take it down.
    #[must_use]
    pub fn keep(mut self) -> String {
        self.guard.keep();
        self.nginx.keep();
        self.sshd.keep();
        self.lab.keep();
        let environment: String = self
            .guard
            .environment()
            .iter()
            .map(|(name, path)| format!("{name}={} ", path.display()))
            .collect();
        let key = self.sshd.folder().join("user");
        let inside = |name: &str| format!("nsenter --net=/var/run/netns/{name}");
        let hosts = [&self.lab.srv, &self.lab.friend, &self.lab.attacker];
        let names: Vec<&str> = hosts.iter().map(|host| host.name()).collect();
        let all = format!("{} {}", names.join(" "), self.lab.wan.name());
        format!(
            "on the server:    {environment}{srv} bash\n\
             \x20                 then: export PATH=$PATH:{bin}; guardctl status; guardctl stats --watch\n\
             as the friend:    {friend} ssh -F none -i {key} -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null root@192.0.2.1\n\
             as the attacker:  {attacker} nmap -sS -Pn -n 192.0.2.1\n\
             take it down:     for n in {all}; do ip netns pids $n | xargs -r kill; ip netns del $n; done\n\
             \x20                 umount {bpf}; rm -r {folders}",
            srv = inside(names[0]),
            friend = inside(names[1]),
            attacker = inside(names[2]),
            key = key.display(),
            bin = guardctl_path()
                .parent()
                .unwrap_or(std::path::Path::new("."))
                .display(),
            bpf = self.guard.bpffs().display(),
            folders = [self.guard.folder(), self.nginx.folder(), self.sshd.folder()]
                .map(|folder| folder.display().to_string())
                .join(" "),
        )
    }
}
