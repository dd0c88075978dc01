//! Where CrowdSec's LAPI listens: `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`. A key goes over no network in
//! the clear, but one whose addresses are private.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use crate::text::value::{BadValue, quoted};

/// Longest address, in bytes; a path of a socket has at most 107.
const MOST_BYTES: usize = 300;
const MOST_SOCKET: usize = 107;
/// Where the LAPI listens unless it is configured otherwise.
const PORT: u16 = 8080;

/// The address of a LAPI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LapiUrl {
    /// TCP, in the clear.
    Http(HostPort),
    /// TCP with TLS.
    Https(HostPort),
    /// A socket of this host.
    Unix(PathBuf),
}

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Without the brackets of IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl HostPort {
    /// As the header `Host` has it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn is_near(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
            Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
            Err(_) => self.host == "localhost",
        }
    }
}

impl FromStr for LapiUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(format!("{} is no address of a LAPI", quoted(text)))
                .help("http://127.0.0.1:8080, https://HOST:PORT or unix:/PATH")
        };
        if text.len() > MOST_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.len() < 2 || path.len() > MOST_SOCKET {
                return Err(bad());
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if let Some(rest) = text.strip_prefix("https://") {
            return Ok(Self::Https(host_port(rest).ok_or_else(bad)?));
        }
        let rest = text.strip_prefix("http://").ok_or_else(bad)?;
        let target = host_port(rest).ok_or_else(bad)?;
        if !target.is_near() {
            return Err(
                BadValue::new(format!("{} would send the key in the clear", quoted(text)))
                    .help("use https://, or an address of this host or of a private network"),
            );
        }
        Ok(Self::Http(target))
    }
}

fn host_port(text: &str) -> Option<HostPort> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (
            host,
            if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':')?)
            },
        )
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_plain) {
        return None;
    }
    let port = match port {
        None => PORT,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        Some(_) => return None,
    };
    (port != 0).then(|| HostPort {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_lapi_are_tcp_tls_or_a_socket() {
        for (text, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost", "localhost:8080"),
            ("http://[::1]:9000/", "[::1]:9000"),
            ("http://10.0.0.5:8080", "10.0.0.5:8080"),
            ("https://lapi.example.org:8443", "lapi.example.org:8443"),
        ] {
            match text.parse::<LapiUrl>() {
                Ok(LapiUrl::Http(at) | LapiUrl::Https(at)) => assert_eq!(at.authority(), authority),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["unix:/run/crowdsec.sock", "unix:///run/crowdsec.sock"] {
            assert_eq!(text.parse(), Ok(LapiUrl::Unix("/run/crowdsec.sock".into())));
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        let long = format!("unix:/{}", "a".repeat(MOST_SOCKET));
        for bad in [
            "",
            "127.0.0.1:8080",
            "ftp://a",
            "http://",
            "https://:1",
            "https://a:0",
            "https://a:70000",
            "https://a:+1",
            "https://a/path",
            "https://user@a",
            "https://[::1",
            "https://[a.b]:1",
            "https://a\r\nX: y",
            "unix:",
            "unix:relative",
            "unix:/",
            &long,
        ] {
            assert!(bad.parse::<LapiUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_does_not_cross_the_internet_in_the_clear() {
        for far in [
            "http://203.0.113.9:8080",
            "http://lapi.example.org",
            "http://[2001:db8::1]",
        ] {
            let error = far.parse::<LapiUrl>().expect_err(far).to_string();
            assert!(
                error.contains("in the clear") && error.contains("https"),
                "{error}"
            );
        }
    }
}
