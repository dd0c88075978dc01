//! The filters that guard brings along, in fail2ban's format and of our own writing, so that
//! nothing else has to be installed.

use std::path::{Path, PathBuf};

/// What stands before the name of such a filter's file.
pub(crate) const FOLDER: &str = "builtin:";

/// Files by name; those that are no filters themselves are only included.
const FILES: &[(&str, &str)] = &[
    ("apache-auth", include_str!("builtin/apache-auth.conf")),
    ("dovecot", include_str!("builtin/dovecot.conf")),
    (
        "nginx-bad-request",
        include_str!("builtin/nginx-bad-request.conf"),
    ),
    (
        "nginx-botsearch",
        include_str!("builtin/nginx-botsearch.conf"),
    ),
    (
        "nginx-http-auth",
        include_str!("builtin/nginx-http-auth.conf"),
    ),
    (
        "nginx-limit-req",
        include_str!("builtin/nginx-limit-req.conf"),
    ),
    ("postfix", include_str!("builtin/postfix.conf")),
    ("sshd", include_str!("builtin/sshd.conf")),
];
const SYSLOG: &str = include_str!("builtin/syslog.conf");

/// The names of the built-in filters, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
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
    if name == "syslog" {
        return Some(SYSLOG);
    }
    let found = FILES.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

#[cfg(test)]
mod tests;
