//! The name of a host in a fleet: `GROUP/HOST`. Both are part of the subjects of NATS that a host may publish on, so
//! the server vouches for them.

use std::{fmt, str::FromStr};

use crate::text::value::{BadValue, quoted};

/// Longest name of a group.
pub const MOST_GROUP: usize = 32;
/// Longest name of a host.
pub const MOST_HOST: usize = 64;

/// A host of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    group: String,
    host: String,
}

impl Member {
    /// Both names, checked.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn new(group: &str, host: &str) -> Result<Self, BadValue> {
        Ok(Self {
            group: name(group, "group", MOST_GROUP)?,
            host: name(host, "host", MOST_HOST)?,
        })
    }

    /// What is trusted or not as a whole.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The host within its group.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// A name of which a subject can be made: no dot, no wildcard, no space, and the same in every letter case.
///
/// # Errors
/// What a name may be.
pub fn name(text: &str, what: &str, most: usize) -> Result<String, BadValue> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > most || text.starts_with('-') || !text.bytes().all(is_plain)
    {
        return Err(
            BadValue::new(format!("{} is no name of a {what}", quoted(text)))
                .help(format!("1 to {most} of a to z, 0 to 9 and -, e.g. web-1")),
        );
    }
    Ok(text.to_owned())
}

impl FromStr for Member {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let Some((group, host)) = text.split_once('/') else {
            return Err(
                BadValue::new(format!("{} is no member of a fleet", quoted(text)))
                    .help("write GROUP/HOST, e.g. web/web-1"),
            );
        };
        Self::new(group, host)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_two_plain_names() {
        let member: Member = "web/web-1".parse().expect("a member");
        assert_eq!((member.group(), member.host()), ("web", "web-1"));
        assert_eq!(member.to_string(), "web/web-1");
        let long = format!("{}/{}", "g".repeat(MOST_GROUP), "h".repeat(MOST_HOST));
        assert!(long.parse::<Member>().is_ok());
        for bad in [
            "",
            "web",
            "/",
            "web/",
            "/web-1",
            "Web/a",
            "web/a.b",
            "web/*",
            "web/>",
            "web/a b",
            "web/a/b",
            "web/-a",
            "web/\u{e4}",
            "web/a\n",
            "crowdsec",
        ] {
            assert!(bad.parse::<Member>().is_err(), "{bad:?}");
        }
        for long in [
            format!("{}/h", "g".repeat(MOST_GROUP + 1)),
            format!("g/{}", "h".repeat(MOST_HOST + 1)),
        ] {
            assert!(long.parse::<Member>().is_err(), "{long}");
        }
    }
}
