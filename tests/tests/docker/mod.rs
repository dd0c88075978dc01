//! A4: what a container publishes is closed until guard opens its port, whatever ufw, iptables,
//! nftables and Docker do; and a container reaches out all the time. A9: how a flood on such a port ends.
//! And the logs of containers.

mod flooded;
mod jails;
mod logs;
mod published;
mod scene;
