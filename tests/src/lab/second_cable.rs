//! A cable of the friend's own to the server. A virtual cable has room for 256 frames, and whatever floods
//! on a machine of one or two CPUs is at times faster than what receives: who shares a cable with a flood then
//! loses frames in front of guard, where no firewall could save them. Behind his own cable the friend meets what
//! the test is about: the same addresses, program, tables, listeners and CPUs.

use std::time::Duration;

use super::{Namespace, Topology, finish};

/// Most that a command for setting it up may take.
const SET_UP: Duration = Duration::from_secs(20);

/// The server's end of the second cable.
const SERVER_END: &str = "eth1";
/// The router's end.
const ROUTER_END: &str = "srv1";

impl Topology {
    /// Hosts for a flood: with a second cable, and answers to forged sources end at the router.
    ///
    /// # Panics
    /// When the kernel refuses a part of it.
    #[must_use]
    pub fn for_floods() -> Self {
        let lab = Self::new();
        lab.lay_second_cable();
        lab.wan.ip("route add blackhole default");
        lab.wan.ip("-6 route add blackhole default");
        lab
    }

    /// Frames that the server has sent to the router by the first cable so far.
    ///
    /// # Panics
    /// When the kernel does not say.
    #[must_use]
    pub fn sent_back(&self) -> u64 {
        let shown = self.wan.ip("-s -j link show dev srv");
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let packets = shown[0]["stats64"]["rx"]["packets"].as_u64();
        packets.expect("a number")
    }

    /// Lays it. The friend reaches the server's addresses, and the server the friend's, only this way;
    /// everybody else goes by eth0.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn lay_second_cable(&self) {
        let name = self.srv.name();
        let (v4, v6) = (self.srv.v4, self.srv.v6);
        self.wan.ip_batch(&format!(
            "link add {ROUTER_END} type veth peer name {SERVER_END} netns {name}\n\
             addr add 192.0.3.254/24 dev {ROUTER_END}\n\
             addr add 2001:db8:3::fe/64 dev {ROUTER_END} nodad\n\
             link set {ROUTER_END} up\n"
        ));
        self.srv.ip_batch(&format!(
            "addr add 192.0.3.1/24 dev {SERVER_END}\n\
             addr add 2001:db8:3::1/64 dev {SERVER_END} nodad\n\
             link set {SERVER_END} up\n\
             route add {} via 192.0.3.254\n\
             route add {} via 2001:db8:3::fe\n",
            self.friend.v4, self.friend.v6
        ));
        for (family, to, via) in [("-4", v4, "192.0.3.1"), ("-6", v6, "2001:db8:3::1")] {
            let route = format!("{family} route add {to} via {via} table {TABLE}");
            self.wan.ip(&route);
            self.wan
                .ip(&format!("{family} rule add iif friend lookup {TABLE}"));
        }
        // An end without a queue of its own shares one per CPU with the flood.
        for (host, interface) in [
            (&*self.friend, "eth0"),
            (&self.wan, "friend"),
            (&self.wan, ROUTER_END),
            (&*self.srv, SERVER_END),
        ] {
            let mut ethtool = host.command("ethtool");
            ethtool.args(["-K", interface, "gro", "on"]);
            drop(finish(&mut ethtool, SET_UP).ok());
        }
        self.settle_neighbours();
    }

    /// Tells the server and the router each other's hardware address: a flood that stands in the way of a
    /// question for an address is no subject of a test.
    pub fn settle_neighbours(&self) {
        let own = [self.srv.v4, self.srv.v6];
        know((&self.wan, "srv"), (&self.srv, "eth0"), own);
        know((&self.srv, "eth0"), (&self.wan, "srv"), ROUTER);
    }

    /// Frames that did not fit into the server's first cable: guard has not seen them.
    ///
    /// # Panics
    /// When the kernel does not tell.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        let listed = self.wan.ip("-j -s link show dev srv");
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON of ip");
        let lost = listed[0]["stats64"]["tx"]["dropped"].as_u64();
        lost.unwrap_or_else(|| panic!("no count of lost frames: {listed}"))
    }
}

/// Tells one end of a cable the hardware address of the other, for good.
fn know<T: std::fmt::Display>(
    (host, interface): (&Namespace, &str),
    (other, its): (&Namespace, &str),
    addresses: [T; 2],
) {
    let mac = other.mac(its).map(|byte| format!("{byte:02x}")).join(":");
    for address in addresses {
        host.ip(&format!(
            "neigh replace {address} lladdr {mac} dev {interface} nud permanent"
        ));
    }
}

/// The router's addresses on the server's first cable.
const ROUTER: [&str; 2] = ["192.0.2.254", "2001:db8:2::fe"];
/// Of the routes of what comes from the friend.
const TABLE: u32 = 100;
