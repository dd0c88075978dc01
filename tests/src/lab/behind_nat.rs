//! A service behind the server, as Docker publishes one, without Docker.

use std::time::Duration;

use super::{Namespace, Topology, finish, unique_prefix};

impl Topology {
    /// A network behind the server to whose port 80 netfilter leads a port of the server, TCP and UDP, over both families.
    ///
    /// # Panics
    /// When the kernel refuses a part of it.
    #[must_use]
    pub fn lead_elsewhere(&self, port: u16) -> Namespace {
        let inside = Namespace::new(format!("{}-inside", unique_prefix()));
        let name = inside.name();
        self.srv.sysctl("net/ipv4/ip_forward", "1");
        self.srv.sysctl("net/ipv6/conf/all/forwarding", "1");
        self.srv.ip_batch(&format!(
            "link add inside type veth peer name eth0 netns {name}\n\
         addr add 10.77.0.1/24 dev inside\n\
         addr add fd77::1/64 dev inside nodad\n\
         link set inside up\n"
        ));
        inside.ip_batch(
            "addr add 10.77.0.2/24 dev eth0\n\
         addr add fd77::2/64 dev eth0 nodad\n\
         link set eth0 up\n\
         route add default via 10.77.0.1\n\
         route add default via fd77::1\n",
        );
        for (program, to) in [("iptables", "10.77.0.2:80"), ("ip6tables", "[fd77::2]:80")] {
            for protocol in ["tcp", "udp"] {
                let mut command = self.srv.command(program);
                let rule = format!(
                    "-t nat -A PREROUTING -p {protocol} --dport {port} -j DNAT --to-destination {to}"
                );
                command.args(rule.split(' '));
                drop(finish(&mut command, Duration::from_secs(20)).ok());
            }
        }
        inside
    }
}
