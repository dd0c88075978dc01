//! A4: what a container publishes is closed until guard opens its port, whatever ufw, iptables,
//! nftables and Docker do; and a container reaches out all the time.

mod published;
mod scene;
