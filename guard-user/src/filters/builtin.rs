//! The filters that guard brings along, in fail2ban's format and of our own writing, so that
//! nothing else has to be installed.

use std::path::{Path, PathBuf};

/// What stands before the name of such a filter's file.
pub(crate) const FOLDER: &str = "builtin:";

/// A filter inside guard.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// The newest program whose lines it knows.
    pub follows: &'static str,
    text: &'static str,
}

/// The version of fail2ban whose filters of the same names these know the lines of, and more.
pub const AS_NEW_AS: [u32; 3] = [1, 1, 0];

const FILES: &[Builtin] = &[
    Builtin {
        name: "apache-auth",
        follows: "Apache 2.4.67",
        text: include_str!("builtin/apache-auth.conf"),
    },
    Builtin {
        name: "dovecot",
        follows: "Dovecot 2.3 and 2.4",
        text: include_str!("builtin/dovecot.conf"),
    },
    Builtin {
        name: "guard-portscan",
        follows: "guard itself",
        text: include_str!("builtin/guard-portscan.conf"),
    },
    Builtin {
        name: "nginx-bad-request",
        follows: "nginx 1.28",
        text: include_str!("builtin/nginx-bad-request.conf"),
    },
    Builtin {
        name: "nginx-botsearch",
        follows: "nginx 1.28",
        text: include_str!("builtin/nginx-botsearch.conf"),
    },
    Builtin {
        name: "nginx-http-auth",
        follows: "nginx 1.28",
        text: include_str!("builtin/nginx-http-auth.conf"),
    },
    Builtin {
        name: "nginx-limit-req",
        follows: "nginx 1.28",
        text: include_str!("builtin/nginx-limit-req.conf"),
    },
    Builtin {
        name: "postfix",
        follows: "Postfix 3.10",
        text: include_str!("builtin/postfix.conf"),
    },
    Builtin {
        name: "sshd",
        follows: "OpenSSH 10.2",
        text: include_str!("builtin/sshd.conf"),
    },
];
/// Files that are only included, as fail2ban's filters name them.
const INCLUDED: [(&str, &str); 2] = [
    ("common", include_str!("builtin/common.conf")),
    ("syslog", include_str!("builtin/syslog.conf")),
];
/// The names of the built-in filters, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|builtin| builtin.name)
}

/// A built-in filter, if there is one of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Builtin> {
    FILES.iter().find(|builtin| builtin.name == name)
}

/// The file of a built-in filter, if there is one of that name.
#[must_use]
pub fn file(name: &str) -> Option<PathBuf> {
    let is_there = names().any(|known| known == name);
    is_there.then(|| Path::new(FOLDER).join(format!("{name}.conf")))
}

/// What a file inside guard says.
pub(crate) fn text(path: &Path) -> Option<&'static str> {
    let name = path.strip_prefix(FOLDER).ok()?.to_str()?;
    let name = name.strip_suffix(".conf")?;
    let included = INCLUDED.iter().find(|(known, _)| *known == name);
    let filter = named(name).map(|builtin| builtin.text);
    included.map(|(_, text)| *text).or(filter)
}

#[cfg(test)]
mod tests;
