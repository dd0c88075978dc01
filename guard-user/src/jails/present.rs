//! Which jails there are on this host: those that are written, and the one for sshd that is there without.

use std::path::Path;

use super::{Jails, JournalUse, Parts, Settings, read_through};
use crate::{
    filters::{Catalog, Problem},
    layout::Layout,
    text::files::Overlay,
};

/// Where the server may be.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
/// Exists while journald runs.
const JOURNALD: &str = "/run/systemd/journal";
/// Where programs write, by filter, on Debian and on Red Hat. The first are those that journald has as well,
/// and that have files only without it.
const LOGS: [(&[&str], IsJournaled, &[&str]); 6] = [
    (
        &["sshd"],
        IsJournaled::Yes,
        &["/var/log/auth.log", "/var/log/secure"],
    ),
    (
        &["postfix", "dovecot"],
        IsJournaled::Yes,
        &["/var/log/mail.log", "/var/log/maillog"],
    ),
    (
        &[
            "nginx-http-auth",
            "nginx-limit-req",
            "nginx-botsearch",
            "nginx-bad-request",
        ],
        IsJournaled::No,
        &["/var/log/nginx/access.log"],
    ),
    (
        &["apache-auth"],
        IsJournaled::No,
        &["/var/log/apache2/*error.log", "/var/log/httpd/*error_log"],
    ),
    (&["fail2ban"], IsJournaled::No, &["/var/log/fail2ban.log"]),
    (
        &["guard-portscan"],
        IsJournaled::Yes,
        &["/var/log/syslog", "/var/log/messages"],
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsJournaled {
    Yes,
    No,
}

/// The jails of this host. A host with sshd has a jail for it, though nobody wrote one.
#[must_use]
pub fn configured(layout: &Layout) -> Jails {
    configured_through(layout, &Overlay::default())
}

/// The same with texts in the place of files.
#[must_use]
pub fn configured_through(layout: &Layout, overlay: &Overlay) -> Jails {
    let has_sshd = SSHD.iter().any(|file| Path::new(file).exists());
    let unwritten: &[&str] = if has_sshd { &["sshd"] } else { &[] };
    let mut jails = read_through(&layout.etc, unwritten, overlay);
    let has_journald = Path::new(JOURNALD).exists();
    for settings in jails.jails.values_mut() {
        add_logs(settings, has_journald);
    }
    jails
}

/// A jail that does not say what it reads reads what its program writes.
fn add_logs(settings: &mut Settings, has_journald: bool) {
    if !settings.files.is_empty()
        || !settings.containers.is_empty()
        || settings.journal != JournalUse::OfFilter
    {
        return;
    }
    let name = settings.filter.split('[').next().unwrap_or_default();
    let known = LOGS.iter().find(|(filters, ..)| filters.contains(&name));
    let Some((_, is_journaled, files)) = known else {
        return;
    };
    if *is_journaled == IsJournaled::Yes && has_journald {
        return;
    }
    settings.journal = JournalUse::No;
    settings.files = files.iter().map(|file| (*file).to_owned()).collect();
}

/// Would this jail work?
///
/// # Errors
/// What is wrong with its filter, or that it has nothing to read.
pub fn check(layout: &Layout, settings: &Settings) -> Result<(), Problem> {
    Parts::load(settings, &Catalog::new(layout)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jail_reads_what_its_program_writes_unless_it_says_something() {
        for (name, has_journald, files, journal) in [
            ("sshd", true, &[][..], JournalUse::OfFilter),
            (
                "sshd",
                false,
                &["/var/log/auth.log", "/var/log/secure"],
                JournalUse::No,
            ),
            (
                "nginx-http-auth",
                true,
                &["/var/log/nginx/access.log"],
                JournalUse::No,
            ),
            ("mine", false, &[], JournalUse::OfFilter),
        ] {
            let mut settings = Settings::new(name);
            add_logs(&mut settings, has_journald);
            assert_eq!(settings.files, files, "{name}");
            assert_eq!(settings.journal, journal, "{name}");
        }
        let mut edited = Settings::new("sshd");
        edited.filter = "sshd[mode=aggressive]".to_owned();
        edited.files = vec!["/var/log/mine.log".to_owned()];
        add_logs(&mut edited, false);
        assert_eq!(edited.files, ["/var/log/mine.log"]);
    }
}
