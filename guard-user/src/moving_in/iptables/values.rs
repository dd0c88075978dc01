//! Addresses, ports and types as iptables writes them; `None` for what is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guard_common::abi::service::protocol;
use ipnetwork::IpNetwork;

use crate::{
    ruleset::{
        icmp::IcmpType,
        model::{PortRange, Transport},
        service::Services,
    },
    text::address,
};

/// Addresses of one family, `10.0.0.0/8`, also as `10.0.0.0/255.0.0.0` and as a list.
pub(super) fn networks(text: &str, is_v4: bool) -> Option<Vec<IpNetwork>> {
    text.split(',')
        .map(|part| {
            let network = match part.split_once('/') {
                Some((ip, mask)) if mask.contains(['.', ':']) => {
                    IpNetwork::with_netmask(ip.parse().ok()?, mask.parse().ok()?).ok()?
                }
                Some(_) | None => address::parse_network(part).ok()?.0,
            };
            let masked = IpNetwork::new(network.network(), network.prefix()).ok()?;
            (masked.is_ipv4() == is_v4).then_some(masked)
        })
        .collect()
}

/// The networks of `192.0.2.1-192.0.2.9`.
pub(in super::super) fn range(text: &str) -> Option<Vec<IpNetwork>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let (bits, mut at, end) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (32, u128::from(first.to_bits()), u128::from(last.to_bits()))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => (128, first.to_bits(), last.to_bits()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let mut networks = Vec::new();
    while at <= end {
        // The largest block that begins here and ends in time.
        let mut host_bits = at.trailing_zeros().min(bits);
        while host_bits > 0 && (host_bits == 128 || at + ((1 << host_bits) - 1) > end) {
            host_bits -= 1;
        }
        let ip: IpAddr = if bits == 32 {
            Ipv4Addr::from_bits(u32::try_from(at).ok()?).into()
        } else {
            Ipv6Addr::from_bits(at).into()
        };
        networks.push(IpNetwork::new(ip, u8::try_from(bits - host_bits).ok()?).ok()?);
        let Some(next) = at.checked_add(1 << host_bits) else {
            break;
        };
        at = next;
    }
    (!networks.is_empty()).then_some(networks)
}

pub(in super::super) fn ports(text: &str, transport: Transport) -> Option<Vec<PortRange>> {
    let port = |text: &str| match text.parse() {
        Ok(port) => Some(port),
        Err(_) => {
            let service = Services::embedded().get(text)?;
            match transport {
                Transport::Udp => service.udp,
                Transport::Tcp | Transport::Both => service.tcp,
            }
        }
    };
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once([':', '-']).unwrap_or((part, part));
            let first = if first.is_empty() { 0 } else { port(first)? };
            let last = if last.is_empty() {
                u16::MAX
            } else {
                port(last)?
            };
            (first <= last).then_some(PortRange { first, last })
        })
        .collect()
}

/// The number of a type of ICMP, by number or by the names that iptables has.
pub(in super::super) fn icmp_type(text: &str, is_v4: bool) -> Option<u8> {
    let of_protocol = if is_v4 {
        protocol::ICMP
    } else {
        protocol::ICMPV6
    };
    // Names of iptables beside those that guard has, each with its numbers of IPv4 and IPv6.
    let own = match text {
        "ping" => Some((8, 128)),
        "pong" => Some((0, 129)),
        "ttl-exceeded" => Some((11, 3)),
        "redirect" => Some((5, 137)),
        "router-solicitation" => Some((10, 133)),
        "router-advertisement" => Some((9, 134)),
        "neighbour-solicitation" | "neighbor-solicitation" | "nd-neighbor-solicit" => {
            Some((135, 135))
        }
        "neighbour-advertisement" | "neighbor-advertisement" | "nd-neighbor-advert" => {
            Some((136, 136))
        }
        "nd-router-solicit" => Some((133, 133)),
        "nd-router-advert" => Some((134, 134)),
        "nd-redirect" => Some((137, 137)),
        "mld-listener-query" => Some((130, 130)),
        "mld-listener-report" => Some((131, 131)),
        "mld-listener-done" | "mld-listener-reduction" => Some((132, 132)),
        "mld2-listener-report" => Some((143, 143)),
        "ind-neighbor-solicit" => Some((141, 141)),
        "ind-neighbor-advert" => Some((142, 142)),
        _ => None,
    };
    if let Some((v4, v6)) = own {
        return Some(if is_v4 { v4 } else { v6 });
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let kind = IcmpType::parse(of_protocol, text).ok()?;
    if is_v4 { kind.v4 } else { kind.v6 }
}
