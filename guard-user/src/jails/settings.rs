//! What a jail is told: fail2ban's words, in types.

use std::{path::PathBuf, time::Duration};

use super::growth::Growth;
use crate::{
    bans::{BanTerm, Prefix},
    filters::{Problem, Spec},
};

/// The jail that is fed with the bans of all others instead of lines.
pub const RECIDIVE: &str = "recidive";
/// Most failures that a jail may wait for.
pub(in crate::jails) const MOST_RETRIES: i64 = 1000;

/// Where the lines of a jail come from, besides its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalUse {
    /// What the filter's `journalmatch` says.
    OfFilter,
    /// These matches, as `journalctl` takes them, one set of words per text.
    Matches(Vec<String>),
    /// Not the journal.
    No,
}

/// What feeds a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JailInput {
    /// Lines of logs.
    Lines,
    /// Bans of other jails: recidive.
    Bans,
}

/// How many bits of an address make a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Of IPv4, 16 to 32.
    pub ipv4: u8,
    /// Of IPv6, 32 to 128.
    pub ipv6: u8,
}

/// One jail.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Does it act?
    pub is_enabled: bool,
    /// The filter and its options in brackets, without `mode`; the jail's name if nothing else is said.
    pub filter: String,
    /// `mode` of the filter, if the jail says one.
    pub mode: Option<String>,
    /// Files to follow, absolute, with `*`, `?` and `[…]`.
    pub files: Vec<String>,
    /// Containers whose output is followed, by name, with `*`, `?` and `[…]`.
    pub containers: Vec<String>,
    /// The journal.
    pub journal: JournalUse,
    /// So many failures …
    pub max_retry: u32,
    /// … within this time …
    pub find_time: Duration,
    /// … are a ban for so long.
    pub ban_time: BanTerm,
    /// How repeated bans grow.
    pub growth: Growth,
    /// Who is never counted.
    pub ignored: Vec<Prefix>,
    /// The same by names of hosts.
    pub ignored_names: Vec<String>,
    /// Are the addresses of this host never counted?
    pub ignores_self: bool,
    /// Who is trusted to say for whom he asks (`X-Forwarded-For`), and is never banned.
    pub proxies: Vec<Prefix>,
    /// What one source is.
    pub aggregation: Aggregation,
    /// The file that says it; none for a jail that nobody wrote.
    pub file: Option<PathBuf>,
}

impl Settings {
    /// `ignoreip` as it is written.
    #[must_use]
    pub fn ignored_texts(&self) -> Vec<String> {
        let networks = self.ignored.iter().map(ToString::to_string);
        networks.chain(self.ignored_names.iter().cloned()).collect()
    }

    /// A jail of which nothing is said but its name: 5 failures in 10 minutes, a ban of 10 minutes
    /// that grows when it is repeated.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let minutes = Duration::from_secs(600);
        let mut settings = Self {
            name: name.to_owned(),
            is_enabled: true,
            filter: name.to_owned(),
            mode: None,
            files: Vec::new(),
            containers: Vec::new(),
            journal: JournalUse::OfFilter,
            max_retry: 5,
            find_time: minutes,
            ban_time: BanTerm::For(minutes),
            growth: Growth::default(),
            ignored: Vec::new(),
            ignored_names: Vec::new(),
            ignores_self: true,
            proxies: Vec::new(),
            aggregation: Aggregation { ipv4: 32, ipv6: 64 },
            file: None,
        };
        if name == RECIDIVE {
            // fail2ban's own numbers; it repeats what has grown already.
            settings.find_time = Duration::from_secs(86_400);
            settings.ban_time = BanTerm::For(Duration::from_secs(7 * 86_400));
            settings.growth.is_on = false;
        }
        settings
    }

    /// What feeds it.
    #[must_use]
    pub fn watched(&self) -> JailInput {
        if self.filter == RECIDIVE && self.files.is_empty() {
            JailInput::Bans
        } else {
            JailInput::Lines
        }
    }

    /// The filter with all its options, for lines of the journal or of files.
    ///
    /// # Errors
    /// The filter's name or its options cannot be read.
    pub fn spec(&self, is_journal: bool) -> Result<Spec, Problem> {
        let mut spec = Spec::parse(&self.filter)?;
        if let Some(mode) = &self.mode {
            spec.given.insert("mode".to_owned(), mode.clone());
        }
        if is_journal {
            let kind = "logtype".to_owned();
            spec.given
                .entry(kind)
                .or_insert_with(|| "journal".to_owned());
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jail_names_its_filter_with_its_mode() {
        let mut jail = Settings::new("sshd");
        jail.filter = "sshd[publickey=any, mode=ddos]".to_owned();
        jail.mode = Some("aggressive".to_owned());

        let spec = jail.spec(true).unwrap();

        let given: Vec<(&str, &str)> = spec
            .given
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(spec.name, "sshd");
        assert_eq!(
            given,
            [
                ("logtype", "journal"),
                ("mode", "aggressive"),
                ("publickey", "any")
            ]
        );
        assert!(!jail.spec(false).unwrap().given.contains_key("logtype"));
    }

    #[test]
    fn recidive_is_fed_with_bans_unless_it_has_a_file() {
        let mut jail = Settings::new(RECIDIVE);
        assert_eq!(jail.watched(), JailInput::Bans);
        jail.files.push("/var/log/fail2ban.log".to_owned());
        assert_eq!(jail.watched(), JailInput::Lines);
        assert_eq!(Settings::new("sshd").watched(), JailInput::Lines);
    }
}
