//! Addresses and prefixes as people write them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnetwork::IpNetwork;

use super::{
    hostname,
    value::{BadValue, quoted, set_name},
};

/// What may stand where a rule takes an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressItem {
    /// Every address.
    Any,
    /// A prefix without host bits; an address is a prefix of full length.
    Network(IpNetwork),
    /// A named set, without its `@`.
    Set(String),
    /// The name of a host, which has a dot.
    Name(String),
}

impl fmt::Display for AddressItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Network(network) => f.write_str(&show(network)),
            Self::Set(name) => write!(f, "@{name}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A value, and a remark if it was not taken literally.
pub type Noted<T> = (T, Option<String>);

/// Reads an address, a prefix, `@set`, the name of a host, or `any`.
pub fn parse_item(text: &str) -> Result<Noted<AddressItem>, BadValue> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix('@') {
        return Ok((AddressItem::Set(set_name(name)?), None));
    }
    if text.eq_ignore_ascii_case("any") {
        return Ok((AddressItem::Any, None));
    }
    if hostname::looks_like_name(text) && text.parse::<IpAddr>().is_err() {
        return Ok((AddressItem::Name(hostname::parse(text)?), None));
    }
    let (network, note) = parse_network(text)?;
    Ok((AddressItem::Network(network), note))
}

/// Reads an address or a prefix. Host bits are masked off and IPv4 in IPv6 notation becomes IPv4,
/// each with a remark.
pub fn parse_network(text: &str) -> Result<Noted<IpNetwork>, BadValue> {
    let text = text.trim();
    let (address_text, length_text) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address_text
        .parse()
        .map_err(|_| not_an_address(address_text))?;
    let length = match length_text {
        None => full_length(address),
        Some(length) => parse_length(address, length)?,
    };
    Ok(normalise(text, address, length))
}

/// The shortest text that reads back as this prefix.
#[must_use]
pub fn show(network: &IpNetwork) -> String {
    if network.prefix() == full_length(network.ip()) {
        network.ip().to_string()
    } else {
        network.to_string()
    }
}

/// Could this word be meant as an address rather than as a port or a service?
#[must_use]
pub fn looks_like_address(word: &str) -> bool {
    if word.starts_with('@') || word.starts_with('[') {
        return true;
    }
    let head = word.split('/').next().unwrap_or(word);
    head.split(',').any(|part| {
        part.parse::<IpAddr>().is_ok()
            || part.contains('.')
            || part.contains("::")
            || part.matches(':').count() > 1
    })
}

fn full_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn parse_length(address: IpAddr, text: &str) -> Result<u8, BadValue> {
    let most = full_length(address);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return match text.parse() {
            Ok(length) if length <= most => Ok(length),
            _ => Err(BadValue::new(format!(
                "prefix length {} is out of range (0-{most})",
                quoted(text).trim_matches('"')
            ))
            .help(format!("write {address}/{most} for the single address"))),
        };
    }
    let mask = text.parse::<Ipv4Addr>().ok().filter(|_| address.is_ipv4());
    let length = mask.and_then(|mask| ipnetwork::ipv4_mask_to_prefix(mask).ok());
    length.ok_or_else(|| {
        BadValue::new(format!("{} is not a prefix length", quoted(text))).help(format!(
            "write {address}/N with N from 0 to {most}, or leave out the `/`"
        ))
    })
}

fn normalise(text: &str, address: IpAddr, length: u8) -> Noted<IpNetwork> {
    let (address, length, is_mapped) = match address {
        IpAddr::V6(v6) if length >= 96 => match v6.to_ipv4_mapped() {
            Some(v4) => (IpAddr::V4(v4), length - 96, true),
            None => (address, length, false),
        },
        IpAddr::V4(_) | IpAddr::V6(_) => (address, length, false),
    };
    let network = masked(address, length);
    let note = if is_mapped {
        Some(format!(
            "{text} is an IPv4 address in IPv6 notation; taken as {}",
            show(&network)
        ))
    } else if network.ip() != address {
        Some(format!(
            "prefix {text} has host bits set; taken as {}",
            show(&network)
        ))
    } else {
        None
    };
    (network, note)
}

/// The prefix without host bits. The length was checked against the family.
fn masked(address: IpAddr, length: u8) -> IpNetwork {
    let host_bits = u32::from(full_length(address) - length);
    let base = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    };
    IpNetwork::new(base, length).unwrap_or_else(|_| IpNetwork::from(base))
}

fn not_an_address(text: &str) -> BadValue {
    let problem = BadValue::new(format!("{} is not an address", quoted(text)));
    let is_dotted = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    if text.is_empty() {
        BadValue::new("an address is missing").help("write an address, a prefix, @set or any")
    } else if text.starts_with('[') {
        problem.help("write an IPv6 address without brackets")
    } else if let Some((address, interface)) = text.split_once('%') {
        problem.help(format!(
            "an address of one link is written `{address}` with `on {interface}`"
        ))
    } else if text.contains('*') {
        problem.help("write a prefix instead of `*`, e.g. 192.0.2.0/24")
    } else if text
        .split_once('-')
        .is_some_and(|(first, last)| is_dotted(first) && is_dotted(last))
    {
        problem.help("an address range is not a prefix; write the prefixes it consists of")
    } else if is_dotted(text) {
        problem.help("an IPv4 address is four numbers from 0 to 255, e.g. 192.0.2.1")
    } else if text.contains(':') {
        problem.help("an IPv6 address looks like 2001:db8::1")
    } else {
        problem.help(
            "write an address or a prefix; rules also take @sets and whole names such as home.example.org",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes_read_as_written() {
        for text in [
            "1.1.1.1",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::1",
            "2001:db8:1::/48",
            "192.0.2.128/25",
            "::1",
            "fe80::/10",
        ] {
            let (network, note) = parse_network(text).expect(text);
            assert_eq!(show(&network), text);
            assert_eq!(note, None);
        }
    }

    #[test]
    fn what_is_not_taken_literally_is_remarked() {
        for (text, taken, remark) in [
            ("10.1.2.3/8", "10.0.0.0/8", "host bits"),
            ("1.2.3.4/0", "0.0.0.0/0", "host bits"),
            ("2001:db8::1/64", "2001:db8::/64", "host bits"),
            ("::ffff:1.2.3.4", "1.2.3.4", "IPv6 notation"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8", "IPv6 notation"),
            ("::ffff:10.9.9.9/104", "10.0.0.0/8", "IPv6 notation"),
            ("10.1.0.0/255.0.0.0", "10.0.0.0/8", "host bits"),
        ] {
            let (network, note) = parse_network(text).expect(text);
            assert_eq!(show(&network), taken);
            assert!(note.expect(text).contains(remark));
        }
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for (text, help) in [
            ("", "an address, a prefix"),
            ("256.1.1.1", "0 to 255"),
            ("1.2.3", "0 to 255"),
            ("01.2.3.4", "0 to 255"),
            ("1.2.3.4/33", "/32"),
            ("::1/129", "/128"),
            ("1.2.3.4/", "N from 0 to 32"),
            ("1.2.3.4/255.0.255.0", "N from 0 to 32"),
            ("::1/255.0.0.0", "N from 0 to 128"),
            ("1.2.3.4/99999999999", "/32"),
            ("[::1]", "brackets"),
            ("fe80::1%eth0", "on eth0"),
            ("192.0.2.*", "prefix"),
            ("10.0.0.1-10.0.0.9", "prefixes"),
            ("example.com", "whole names"),
            ("2001:db8:::1", "IPv6"),
        ] {
            let problem = parse_network(text).expect_err(text);
            assert!(problem.help.expect(text).contains(help), "{text}");
        }
    }
}
