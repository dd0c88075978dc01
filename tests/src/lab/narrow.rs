//! A network whose middle carries smaller packets than its ends.

use super::{
    Namespace, Topology,
    topology::{FRIEND, connect},
    unique_prefix, until,
};

impl Topology {
    /// Moves the friend behind one more router, over a link of this MTU. Both ends go on to believe
    /// in 1500, so each has to be told by an ICMP error: the server by `wan`, the friend by the
    /// router that this returns.
    ///
    /// # Panics
    /// When the kernel refuses a part of it.
    #[must_use]
    pub fn narrow(&self, mtu: u32) -> Namespace {
        let far = Namespace::new(format!("{}-far", unique_prefix()));
        far.sysctl("net/ipv4/ip_forward", "1");
        far.sysctl("net/ipv6/conf/all/forwarding", "1");
        self.friend.ip("link del eth0");
        connect(&self.friend, &far, FRIEND);
        let (_, v4_network, _, v6_network, _) = FRIEND;
        let name = far.name();
        self.wan.ip_batch(&format!(
            "link add far mtu {mtu} type veth peer name wan mtu {mtu} netns {name}\n\
             addr add 100.64.0.1/24 dev far\n\
             addr add 2001:db8:64::1/64 dev far nodad\n\
             link set far up\n"
        ));
        far.ip_batch(
            "addr add 100.64.0.2/24 dev wan\n\
             addr add 2001:db8:64::2/64 dev wan nodad\n\
             link set wan up\n\
             route add default via 100.64.0.1\n\
             route add default via 2001:db8:64::1\n",
        );
        self.wan.ip_batch(&format!(
            "route add {v4_network}.0/24 via 100.64.0.2\n\
             route add {v6_network}::/64 via 2001:db8:64::2\n"
        ));
        for address in [self.srv.v4, self.srv.v6] {
            until(&format!("{address} to be reachable"), || {
                self.friend.can_ping(address)
            });
        }
        far
    }
}
