//! One entry of the journal: from its fields to the line that filters know.

use super::{MAX_LINE_BYTES, export::Fields, line::whole_words, matches::Matches};

/// What is asked for, by the numbers that the constants below are.
const FIELDS: [&str; 10] = [
    "__CURSOR",
    "__REALTIME_TIMESTAMP",
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_PID",
    "_COMM",
    "_PID",
    "_HOSTNAME",
    "_TRANSPORT",
    "MESSAGE_ID",
];
const CURSOR: usize = 0;
const TIME: usize = 1;
const MESSAGE: usize = 2;
const IDENTIFIER: usize = 3;
const SYSLOG_PID: usize = 4;
const COMMAND: usize = 5;
const PID: usize = 6;
const HOST: usize = 7;
const TRANSPORT: usize = 8;
const MESSAGE_ID: usize = 9;

/// What journald says when it dropped messages: systemd's SD_MESSAGE_JOURNAL_DROPPED.
pub(super) const SUPPRESSED_ID: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// The names of the fields that entries are made of, and of those that these look at.
pub(super) fn names(matches: &[Matches]) -> Vec<String> {
    let mut names = FIELDS.map(str::to_owned).to_vec();
    for field in matches.iter().flat_map(Matches::fields) {
        if !names.iter().any(|name| name == field) {
            names.push(field.to_owned());
        }
    }
    names
}

/// An entry of the journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalEntry<'e> {
    /// `HOST IDENT[PID]: MESSAGE`, as fail2ban writes it for its filters.
    pub line: &'e [u8],
    /// When journald got it, in milliseconds since 1970.
    pub time_ms: i64,
    /// Was the message too long, and is only its beginning here?
    pub is_cut: bool,
    pub(super) time_us: i64,
    /// journald's name for it.
    pub(super) cursor: &'e str,
    names: &'e [String],
    fields: &'e Fields,
}

impl<'e> JournalEntry<'e> {
    /// Makes one of its fields; none of those that lack what every entry has. The line is written to `line`.
    pub(super) fn of(
        names: &'e [String],
        fields: &'e Fields,
        line: &'e mut Vec<u8>,
    ) -> Option<Self> {
        let text = |name| std::str::from_utf8(fields.of(name).next()?).ok();
        let cursor = text(CURSOR).filter(|cursor| !cursor.is_empty())?;
        let time_us: i64 = text(TIME)?.parse().ok()?;
        line.clear();
        write(fields, line);
        let is_cut = line.len() > MAX_LINE_BYTES;
        if is_cut {
            let end = whole_words(&line[..MAX_LINE_BYTES]).len();
            line.truncate(end);
        }
        Some(Self {
            line,
            time_ms: time_us / 1000,
            is_cut,
            time_us,
            cursor,
            names,
            fields,
        })
    }

    /// Is it one of those that are meant?
    #[must_use]
    pub fn fits(&self, matches: &Matches) -> bool {
        matches.fit(|name, value| {
            let number = self.names.iter().position(|known| known == name);
            number.is_some_and(|number| self.has(number, value))
        })
    }

    /// How many messages journald dropped, if that is what it says. Everybody can write such a message,
    /// but only journald has this transport.
    pub(super) fn suppressed(&self) -> Option<u64> {
        if !self.has(TRANSPORT, "driver") || !self.has(MESSAGE_ID, SUPPRESSED_ID) {
            return None;
        }
        let message = std::str::from_utf8(self.fields.of(MESSAGE).next()?).ok()?;
        let text = message.strip_prefix("Suppressed ")?;
        text.split(' ').next()?.parse().ok()
    }

    fn has(&self, name: usize, value: &str) -> bool {
        self.fields.of(name).any(|found| found == value.as_bytes())
    }
}

fn write(fields: &Fields, line: &mut Vec<u8>) {
    let first = |names: [usize; 2]| {
        let mut found = names.into_iter().filter_map(|name| fields.of(name).next());
        found.find(|value| !value.is_empty())
    };
    if let Some(host) = fields.of(HOST).next() {
        line.extend_from_slice(host);
        line.push(b' ');
    }
    if let Some(name) = first([IDENTIFIER, COMMAND]) {
        line.extend_from_slice(name);
        if let Some(process) = first([SYSLOG_PID, PID]) {
            line.push(b'[');
            line.extend_from_slice(process);
            line.push(b']');
        }
        line.extend_from_slice(b": ");
    }
    for (number, message) in fields.of(MESSAGE).enumerate() {
        if number > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(message);
    }
    // One entry is one line: what follows a line feed must not look like the next one.
    if memchr::memchr(b'\n', line).is_some() {
        let parts: Vec<&[u8]> = line.split(|byte| *byte == b'\n').collect();
        *line = parts.join(&b"\\n"[..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::export::Export;

    /// Makes an entry of lines of `journalctl --output=export`, and asks it something.
    fn asked<T>(text: &[u8], ask: impl Fn(&JournalEntry<'_>) -> T) -> Option<T> {
        let matches = Matches::parse("_SYSTEMD_UNIT=a").unwrap();
        let mut export = Export::of(names(&[matches]));
        let mut answer = None;
        let read = export.push(text, |names, fields| {
            answer = JournalEntry::of(names, fields, &mut Vec::new()).map(|entry| ask(&entry));
        });
        assert_eq!(read, Ok(()));
        answer
    }

    fn entry<T>(fields: &[u8], ask: impl Fn(&JournalEntry<'_>) -> T) -> Option<T> {
        let head = b"__CURSOR=c\n__REALTIME_TIMESTAMP=1700000000123456\n";
        asked(&[&head[..], fields, b"\n\n"].concat(), ask)
    }

    #[test]
    fn an_entry_is_one_line_as_filters_know_it() {
        for (fields, line) in [
            (
                &b"_HOSTNAME=srv\nSYSLOG_IDENTIFIER=sshd\nSYSLOG_PID=7\n_PID=8\nMESSAGE=a b"[..],
                &b"srv sshd[7]: a b"[..],
            ),
            (
                b"_HOSTNAME=srv\n_COMM=sshd\n_PID=8\nMESSAGE=x",
                b"srv sshd[8]: x",
            ),
            (
                b"_HOSTNAME=srv\nSYSLOG_IDENTIFIER=cron\nMESSAGE=x",
                b"srv cron: x",
            ),
            (b"MESSAGE=x\n_HOSTNAME=srv", b"srv x"),
            (
                b"_COMM=a\nMESSAGE\n\x05\0\0\0\0\0\0\0x\0\xff\ny",
                b"a: x\0\xff\\ny",
            ),
            (b"_COMM=a\nMESSAGE=x\nMESSAGE=y", b"a: x y"),
            (b"_COMM=a\nMESSAGE=", b"a: "),
            (b"_COMM=a", b"a: "),
            (
                b"_COMM=a\nMESSAGE\n\x16\0\0\0\0\0\0\0x\nsrv sshd[1]: forged\r",
                b"a: x\\nsrv sshd[1]: forged\r",
            ),
        ] {
            let found = entry(fields, |entry| {
                (entry.line.to_vec(), entry.time_ms, entry.is_cut)
            });
            let expected = (line.to_vec(), 1_700_000_000_123, false);
            assert_eq!(found, Some(expected), "{}", fields.escape_ascii());
        }
    }

    #[test]
    fn a_long_message_is_cut_behind_a_whole_word() {
        for words in [32_765, 1_000_000] {
            let message = format!("MESSAGE={}203.0.113.77", "a ".repeat(words));
            let found = entry(message.as_bytes(), |entry| {
                assert!(entry.is_cut && entry.line.len() < MAX_LINE_BYTES);
                assert!(entry.line.ends_with(b" a"));
            });
            assert_eq!(found, Some(()));
        }
    }

    #[test]
    fn only_journald_says_that_messages_are_missing() {
        let text = "MESSAGE=Suppressed 1234 messages from ssh.service\n";
        let id = format!("MESSAGE_ID={SUPPRESSED_ID}\n");
        for (fields, number) in [
            (format!("{text}{id}_TRANSPORT=driver"), Some(1234)),
            (format!("{text}{id}_TRANSPORT=syslog"), None),
            (format!("{text}_TRANSPORT=driver"), None),
        ] {
            let said = entry(fields.as_bytes(), |entry| entry.suppressed());
            assert_eq!(said, Some(number), "{fields}");
        }
    }

    #[test]
    fn one_of_several_values_is_enough_to_be_meant() {
        for (fields, is_meant) in [
            ("_SYSTEMD_UNIT=a", true),
            ("_SYSTEMD_UNIT=b\n_SYSTEMD_UNIT=a", true),
            ("_SYSTEMD_UNIT=b", false),
            ("MESSAGE=_SYSTEMD_UNIT=a", false),
        ] {
            let matches = Matches::parse("_SYSTEMD_UNIT=a").unwrap();
            let fits = entry(fields.as_bytes(), |entry| entry.fits(&matches));
            assert_eq!(fits, Some(is_meant), "{fields}");
        }
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for text in [
            "MESSAGE=x\n\n",
            "__CURSOR=c\n\n",
            "__CURSOR=\n__REALTIME_TIMESTAMP=1\n\n",
            "__CURSOR=c\n__REALTIME_TIMESTAMP=x\n\n",
        ] {
            assert_eq!(asked(text.as_bytes(), |_| ()), None, "{text}");
        }
    }
}
