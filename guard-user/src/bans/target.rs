//! What an operator or a list names to be banned: an address or a prefix, and what is wrong with it.

use std::net::IpAddr;

use super::prefix::Prefix;
use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};

/// The network that an IPv6 address without a length stands for: what one customer is given at least,
/// who has all of its addresses.
const V6_AGGREGATE: u8 = 64;
/// Widest prefixes that the tables hold.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 20;
/// Widest prefixes that are taken without being told so expressly.
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 32;

/// What is to be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanTarget {
    /// The network.
    pub prefix: Prefix,
    /// The address itself, if the network was made of an address.
    pub address: Option<IpAddr>,
    /// How the text was taken.
    pub reading: Reading,
}

/// How a text was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As written.
    Literal,
    /// An IPv6 address, taken for its /64.
    Aggregated,
    /// An IPv4 address in IPv6 notation.
    Unmapped,
}

/// Why something cannot be banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// `Usage` for what makes no sense, `Refused` for what is protected.
    pub exit: Exit,
    /// What is wrong, with the value.
    pub message: String,
    /// A way out.
    pub help: String,
}

impl Complaint {
    /// As a command fails with it.
    #[must_use]
    pub fn failure(self) -> Failure {
        Failure::new(self.exit, self.message).help(self.help)
    }

    fn wrong(message: String, help: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message,
            help: help.into(),
        }
    }

    pub(super) fn refused(message: String, help: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            message,
            help: help.into(),
        }
    }
}

impl BanTarget {
    /// Reads an address or a prefix.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(not_an_address(text));
        };
        let mapped = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length
            .map(|length| parse_length(text, length, most))
            .transpose()?;
        let (prefix, reading) = match (address, mapped, length) {
            (IpAddr::V4(_), _, None) => (Prefix::single(address), Reading::Literal),
            (IpAddr::V4(v4), _, Some(length)) => (Prefix::v4(v4, length), Reading::Literal),
            (IpAddr::V6(_), Some(v4), None) => (Prefix::v4(v4, 32), Reading::Unmapped),
            (IpAddr::V6(v6), Some(_), Some(length)) if length >= 96 => {
                (Prefix::v6(v6, length), Reading::Unmapped)
            }
            (IpAddr::V6(v6), None, None) => (Prefix::v6(v6, V6_AGGREGATE), Reading::Aggregated),
            (IpAddr::V6(v6), _, Some(length)) => (Prefix::v6(v6, length), Reading::Literal),
        };
        let exact = match mapped {
            Some(v4) => Prefix::single(IpAddr::V4(v4)),
            None => Prefix::single(address),
        };
        if length.is_some() && prefix.bits() != exact.bits() {
            return Err(Complaint::wrong(
                format!("{} has host bits set", quoted(text)),
                format!("write {prefix} for the network, or {address} for the address"),
            ));
        }
        let widest = if prefix.is_v4() { WIDEST_V4 } else { WIDEST_V6 };
        if prefix.written_length() < widest {
            return Err(Complaint::refused(
                format!("{prefix} is too wide: no ban is wider than /{widest}"),
                format!("write the /{widest} networks that you mean"),
            ));
        }
        Ok(Self {
            prefix,
            address: length.is_none().then_some(address),
            reading,
        })
    }

    /// How the text was taken, if not literally.
    #[must_use]
    pub fn note(&self, text: &str) -> Option<String> {
        match self.reading {
            Reading::Literal => None,
            Reading::Aggregated => Some(format!(
                "{text} is taken as its /64, {}; write {text}/128 for the address alone",
                self.prefix
            )),
            Reading::Unmapped => Some(format!(
                "{text} is an IPv4 address in IPv6 notation; taken as {}",
                self.prefix
            )),
        }
    }
}

/// Refuses prefixes that shut out more than an operator may mean.
///
/// # Errors
/// `Refused`; --force is the way out.
pub fn refuse_wide(prefix: Prefix) -> Result<(), Complaint> {
    let wide = if prefix.is_v4() { WIDE_V4 } else { WIDE_V6 };
    if prefix.written_length() >= wide {
        return Ok(());
    }
    Err(Complaint::refused(
        format!("{prefix} is wider than /{wide}: that shuts out whole providers"),
        "add --force if that is what you want",
    ))
}

fn parse_length(text: &str, length: &str, most: u8) -> Result<u8, Complaint> {
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let known = length
        .parse::<u8>()
        .ok()
        .filter(|length| is_number && *length <= most);
    known.ok_or_else(|| {
        Complaint::wrong(
            format!(
                "{}: the prefix length is a number from 0 to {most}",
                quoted(text)
            ),
            "write 192.0.2.0/24 or 2001:db8::/48",
        )
    })
}

fn not_an_address(text: &str) -> Complaint {
    let shown = quoted(text);
    let host = text.split('/').next().unwrap_or(text);
    if text.is_empty() {
        Complaint::wrong(
            "an address is missing".to_owned(),
            "write an address or a prefix, e.g. 203.0.113.7 or 203.0.113.0/24",
        )
    } else if let Some((address, zone)) = host.split_once('%') {
        Complaint::wrong(
            format!("{shown} has a zone, {}", quoted(zone)),
            format!(
                "a ban holds for every interface: write {address} (link-local addresses cannot be banned)"
            ),
        )
    } else if let Some((address, _)) = host
        .trim_start_matches('[')
        .split_once("]:")
        .filter(|_| host.starts_with('['))
    {
        Complaint::wrong(
            format!("{shown} has a port"),
            format!("a ban is about all ports: write {address}"),
        )
    } else if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Complaint::wrong(format!("{shown} is in brackets"), format!("write {inner}"))
    } else if let Some((address, _)) = host
        .split_once([':', ','])
        .filter(|(address, _)| address.parse::<IpAddr>().is_ok())
    {
        Complaint::wrong(
            format!("{shown} has a port"),
            format!("a ban is about all ports: write {address}"),
        )
    } else if host.contains('-') && host.split('-').all(|end| end.parse::<IpAddr>().is_ok()) {
        Complaint::wrong(
            format!("{shown} is a range"),
            "write the prefixes that it consists of",
        )
    } else {
        Complaint::wrong(
            format!("{shown} is neither an address nor a prefix"),
            "write 203.0.113.7, 203.0.113.0/24, 2001:db8::1 or 2001:db8::/48; host names are not looked up",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_mean_them() {
        for (text, taken, reading) in [
            ("203.0.113.7", "203.0.113.7", Reading::Literal),
            ("203.0.113.7/32", "203.0.113.7", Reading::Literal),
            ("203.0.113.0/24", "203.0.113.0/24", Reading::Literal),
            (
                "2001:db8:1:2:3::4",
                "2001:db8:1:2::/64",
                Reading::Aggregated,
            ),
            ("2001:db8::1/128", "2001:db8::1/128", Reading::Literal),
            ("2001:db8::/48", "2001:db8::/48", Reading::Literal),
            ("::ffff:203.0.113.7", "203.0.113.7", Reading::Unmapped),
            (
                "::ffff:203.0.113.0/120",
                "203.0.113.0/24",
                Reading::Unmapped,
            ),
        ] {
            let target = BanTarget::parse(text).expect(text);
            assert_eq!(target.prefix.to_string(), taken, "{text}");
            assert_eq!(target.reading, reading, "{text}");
            assert_eq!(target.note(text).is_some(), reading != Reading::Literal);
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_to_write() {
        for (text, exit, message, help) in [
            ("", Exit::Usage, "missing", "203.0.113.7"),
            ("fe80::1%eth0", Exit::Usage, "zone", "fe80::1"),
            ("203.0.113.7:22", Exit::Usage, "port", "write 203.0.113.7"),
            ("[2001:db8::1]:22", Exit::Usage, "port", "write 2001:db8::1"),
            (
                "[2001:db8::1]",
                Exit::Usage,
                "brackets",
                "write 2001:db8::1",
            ),
            (
                "203.0.113.7,tcp:80",
                Exit::Usage,
                "port",
                "write 203.0.113.7",
            ),
            ("203.0.113.7-203.0.113.9", Exit::Usage, "range", "prefixes"),
            ("203.0.113.7/24", Exit::Usage, "host bits", "203.0.113.0/24"),
            ("2001:db8::1/64", Exit::Usage, "host bits", "2001:db8::/64"),
            ("203.0.113.0/33", Exit::Usage, "0 to 32", "/24"),
            ("203.0.113.0/", Exit::Usage, "0 to 32", "/24"),
            ("203.0.113.0/+8", Exit::Usage, "0 to 32", "/24"),
            ("2001:db8::/129", Exit::Usage, "0 to 128", "/48"),
            ("example.org", Exit::Usage, "neither", "not looked up"),
            ("203.0.113", Exit::Usage, "neither", "203.0.113.7"),
            ("10.0.0.0/7", Exit::Refused, "too wide", "/8"),
            ("0.0.0.0/0", Exit::Refused, "too wide", "/8"),
            ("2000::/19", Exit::Refused, "too wide", "/20"),
            ("::/0", Exit::Refused, "too wide", "/20"),
            ("::ffff:0:0/96", Exit::Refused, "too wide", "/8"),
        ] {
            let complaint = BanTarget::parse(text).expect_err(text);
            assert_eq!(complaint.exit, exit, "{text}: {complaint:?}");
            assert!(complaint.message.contains(message), "{text}: {complaint:?}");
            assert!(complaint.help.contains(help), "{text}: {complaint:?}");
        }
    }

    #[test]
    fn wide_prefixes_need_force() {
        for (text, is_wide) in [
            ("10.0.0.0/15", true),
            ("10.0.0.0/16", false),
            ("2001:d00::/31", true),
            ("2001:db8::/32", false),
        ] {
            let target = match BanTarget::parse(text) {
                Ok(target) => target,
                Err(complaint) => panic!("{complaint:?}"),
            };
            assert_eq!(refuse_wide(target.prefix).is_err(), is_wide, "{text}");
        }
    }
}
