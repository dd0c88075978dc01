//! Who is behind a proxy. What a client says of itself is believed only where a trusted proxy has
//! written it down, and only as far as trusted proxies have.

use std::net::IpAddr;

use crate::{bans::Prefix, filters::Host};

/// The group of a pattern that captures `X-Forwarded-For`, in lower case.
pub const FORWARDED: &str = "forwarded";

/// Who failed: the host of the line, or, if that is a trusted proxy, the last address in
/// `X-Forwarded-For` that is none. Without such an address it stays the proxy, which nobody bans.
#[must_use]
pub fn client(host: &Host, forwarded: Option<&str>, proxies: &[Prefix]) -> Host {
    let is_trusted = |address: IpAddr| {
        let single = Prefix::single(address);
        proxies.iter().any(|proxy| proxy.covers(single))
    };
    let Host::Address(peer) = host else {
        return host.clone();
    };
    if !is_trusted(*peer) {
        return host.clone();
    }
    for word in forwarded.unwrap_or_default().rsplit(',') {
        // What is no address ends it: all that stands before it was written by nobody knows whom.
        let Some(address) = address(word.trim()) else {
            break;
        };
        if !is_trusted(address) {
            return Host::Address(address);
        }
    }
    host.clone()
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let socket: std::net::SocketAddr = text.parse().ok()?;
    Some(socket.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::Address(text.parse().unwrap())
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let proxies: Vec<Prefix> = ["198.51.100.1", "2001:db8:f::"]
            .map(|text| text.parse().unwrap())
            .map(|address: IpAddr| {
                Prefix::single(address).widened(if address.is_ipv4() { 128 } else { 64 })
            })
            .to_vec();
        for (what, peer, forwarded, client_is) in [
            (
                "one proxy",
                "198.51.100.1",
                Some("203.0.113.7"),
                "203.0.113.7",
            ),
            ("IPv6", "2001:db8:f::9", Some("2001:db8::7"), "2001:db8::7"),
            (
                "two proxies, and what the client made up in front",
                "198.51.100.1",
                Some("192.0.2.1, 203.0.113.7, 2001:db8:f::2"),
                "203.0.113.7",
            ),
            (
                "with ports",
                "198.51.100.1",
                Some("203.0.113.7:40000"),
                "203.0.113.7",
            ),
            (
                "with ports, IPv6",
                "198.51.100.1",
                Some("[2001:db8::7]:1"),
                "2001:db8::7",
            ),
            (
                "a peer that nobody trusts",
                "203.0.113.66",
                Some("192.0.2.1"),
                "203.0.113.66",
            ),
            ("nothing forwarded", "198.51.100.1", None, "198.51.100.1"),
            ("a dash", "198.51.100.1", Some("-"), "198.51.100.1"),
            (
                "garbage behind an address",
                "198.51.100.1",
                Some("192.0.2.1, x"),
                "198.51.100.1",
            ),
            (
                "only proxies",
                "198.51.100.1",
                Some("2001:db8:f::2"),
                "198.51.100.1",
            ),
        ] {
            assert_eq!(
                client(&host(peer), forwarded, &proxies),
                host(client_is),
                "{what}"
            );
        }
        let name = Host::Name("a.example".to_owned());
        assert_eq!(client(&name, Some("192.0.2.1"), &proxies), name);
    }
}
