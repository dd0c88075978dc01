//! Where metrics are served: a UNIX socket, or a port of this host that nobody else reaches.

use std::{
    fmt,
    net::SocketAddr,
    path::{Component, PathBuf},
};

use crate::text::value::{BadValue, quoted};

/// Longest path of a socket: the kernel has room for 107 bytes, and it is made under a longer name first.
const LONGEST_PATH: usize = 90;

/// `listen` of `[metrics]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// For root and the group guard.
    Socket(PathBuf),
    /// Every process of this host may connect.
    Loopback(SocketAddr),
}

impl Listen {
    /// Reads `unix:/run/guard/metrics` or `127.0.0.1:9977`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = |what: &str, help: &str| {
            Err(BadValue::new(format!("{} {what}", quoted(text))).help(help.to_owned()))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let is_plain = path
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
            if !path.is_absolute() || !is_plain || path.file_name().is_none() || text.ends_with('/')
            {
                return bad(
                    "is not the full path of a socket",
                    "write \"unix:/run/guard/metrics\"",
                );
            }
            if path.as_os_str().len() > LONGEST_PATH {
                return bad(
                    "is too long for a socket",
                    &format!("a path of at most {LONGEST_PATH} bytes, e.g. /run/guard/metrics"),
                );
            }
            return Ok(Self::Socket(path));
        }
        let Ok(address) = text.parse::<SocketAddr>() else {
            return bad(
                "is neither a socket nor a port of this host",
                "write \"unix:/run/guard/metrics\", \"127.0.0.1:9977\" or \"[::1]:9977\"",
            );
        };
        if !address.ip().is_loopback() {
            return bad(
                "could be reached from other hosts",
                "guard listens on 127.0.0.1 or [::1] only; let a proxy with a login carry it on",
            );
        }
        if address.port() == 0 {
            return bad("is no port", "write one of 1 to 65535, e.g. 127.0.0.1:9977");
        }
        Ok(Self::Loopback(address))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_ports_of_this_host_are_taken() {
        for text in [
            "unix:/run/guard/metrics",
            "127.0.0.1:9977",
            "127.8.8.8:1",
            "[::1]:65535",
        ] {
            let listen = Listen::parse(text).expect(text);
            assert_eq!(listen.to_string(), text);
        }
    }

    #[test]
    fn nothing_that_others_reach_is_taken_and_no_path_that_could_not_be_a_socket() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for (text, why) in [
            ("0.0.0.0:9977", "other hosts"),
            ("[::]:9977", "other hosts"),
            ("192.0.2.1:9977", "other hosts"),
            ("[::ffff:127.0.0.1]:9977", "other hosts"),
            ("127.0.0.1:0", "no port"),
            ("127.0.0.1", "neither"),
            ("localhost:9977", "neither"),
            (":9977", "neither"),
            ("9977", "neither"),
            ("", "neither"),
            ("unix:", "full path"),
            ("unix:metrics", "full path"),
            ("unix:/", "full path"),
            ("unix:/run/guard/", "full path"),
            ("unix:/run/../etc/passwd", "full path"),
            ("/run/guard/metrics", "neither"),
            (&long, "too long"),
        ] {
            let bad = Listen::parse(text).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
            assert!(bad.help.is_some(), "{text}");
        }
    }
}
