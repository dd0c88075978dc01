//! One entry of the journal: from JSON to the line that filters know.

use serde_json::Value;

use super::{MAX_LINE_BYTES, line::whole_words, matches::Matches};

/// Fields that are always asked for.
pub(super) const FIELDS: [&str; 8] = [
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_PID",
    "_COMM",
    "_PID",
    "_HOSTNAME",
    "_TRANSPORT",
    "MESSAGE_ID",
];
/// What journald says when it dropped messages: systemd's SD_MESSAGE_JOURNAL_DROPPED.
pub(super) const SUPPRESSED_ID: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `HOST IDENT[PID]: MESSAGE`, as fail2ban writes it for its filters.
    pub line: Vec<u8>,
    /// When journald got it, in milliseconds since 1970.
    pub time_ms: i64,
    /// Was the message too long, and is only its beginning here?
    pub is_cut: bool,
    pub(super) time_us: i64,
    pub(super) cursor: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl Entry {
    /// Reads what `journalctl -o json` writes; none for anything else.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let Value::Object(object) = serde_json::from_slice(json).ok()? else {
            return None;
        };
        let cursor = object.get("__CURSOR")?.as_str()?.to_owned();
        let time_us: i64 = object.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        let fields = object
            .into_iter()
            .map(|(name, value)| (name, bytes(&value)))
            .collect();
        let mut entry = Self {
            line: Vec::new(),
            time_ms: time_us / 1000,
            is_cut: false,
            time_us,
            cursor,
            fields,
        };
        entry.line = entry.formatted();
        if entry.line.len() > MAX_LINE_BYTES {
            let end = whole_words(&entry.line[..MAX_LINE_BYTES]).len();
            entry.line.truncate(end);
            entry.is_cut = true;
        }
        Some(entry)
    }

    /// A field, if it is text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    /// Is it one of those that are meant?
    #[must_use]
    pub fn fits(&self, matches: &Matches) -> bool {
        matches.fit(|name| self.field(name))
    }

    /// How many messages journald dropped, if that is what it says. Everybody can write such a message,
    /// but only journald has this transport.
    pub(super) fn suppressed(&self) -> Option<u64> {
        let is_own = self.field("_TRANSPORT") == Some("driver");
        if !is_own || self.field("MESSAGE_ID") != Some(SUPPRESSED_ID) {
            return None;
        }
        let text = self.field("MESSAGE")?.strip_prefix("Suppressed ")?;
        text.split(' ').next()?.parse().ok()
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_slice())
    }

    fn formatted(&self) -> Vec<u8> {
        let first = |names: [&str; 2]| {
            let mut found = names.into_iter().filter_map(|name| self.bytes(name));
            found.find(|value| !value.is_empty())
        };
        let mut line = Vec::new();
        if let Some(host) = self.bytes("_HOSTNAME") {
            line.extend_from_slice(host);
            line.push(b' ');
        }
        if let Some(name) = first(["SYSLOG_IDENTIFIER", "_COMM"]) {
            line.extend_from_slice(name);
            if let Some(process) = first(["SYSLOG_PID", "_PID"]) {
                line.push(b'[');
                line.extend_from_slice(process);
                line.push(b']');
            }
            line.extend_from_slice(b": ");
        }
        line.extend_from_slice(self.bytes("MESSAGE").unwrap_or_default());
        // One entry is one line: what follows a line feed must not look like the next one.
        if line.contains(&b'\n') {
            let parts: Vec<&[u8]> = line.split(|byte| *byte == b'\n').collect();
            line = parts.join(&b"\\n"[..]);
        }
        line
    }
}

/// A text, or the numbers of bytes that are no text, or several of them.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(parts) => {
            let numbers: Option<Vec<u8>> = parts
                .iter()
                .map(|part| u8::try_from(part.as_u64()?).ok())
                .collect();
            numbers.unwrap_or_else(|| {
                let parts: Vec<Vec<u8>> = parts.iter().map(bytes).collect();
                parts.join(&b' ')
            })
        }
        Value::Number(number) => number.to_string().into_bytes(),
        Value::Null | Value::Bool(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &str) -> Option<Entry> {
        let json = format!(
            "{{\"__CURSOR\":\"c\",\"__REALTIME_TIMESTAMP\":\"1700000000123456\",{fields}}}"
        );
        Entry::parse(json.as_bytes())
    }

    #[test]
    fn an_entry_is_one_line_as_filters_know_it() {
        for (fields, line) in [
            (
                r#""_HOSTNAME":"srv","SYSLOG_IDENTIFIER":"sshd","SYSLOG_PID":"7","_PID":"8","MESSAGE":"a b""#,
                &b"srv sshd[7]: a b"[..],
            ),
            (
                r#""_HOSTNAME":"srv","_COMM":"sshd","_PID":"8","MESSAGE":"x""#,
                b"srv sshd[8]: x",
            ),
            (
                r#""_HOSTNAME":"srv","SYSLOG_IDENTIFIER":"cron","MESSAGE":"x""#,
                b"srv cron: x",
            ),
            (r#""_HOSTNAME":"srv","MESSAGE":"x""#, b"srv x"),
            (
                r#""_COMM":"a","MESSAGE":[120,0,255,10,121]"#,
                b"a: x\0\xff\\ny",
            ),
            (r#""_COMM":"a","MESSAGE":["x","y"]"#, b"a: x y"),
            (r#""_COMM":"a","MESSAGE":null"#, b"a: "),
            (
                r#""_COMM":"a","MESSAGE":"x\nsrv sshd[1]: forged\r""#,
                b"a: x\\nsrv sshd[1]: forged\r",
            ),
        ] {
            let found = entry(fields).expect(fields);
            assert_eq!(found.line, line, "{fields}");
            assert_eq!((found.time_ms, found.is_cut), (1_700_000_000_123, false));
        }
    }

    #[test]
    fn a_long_message_is_cut_behind_a_whole_word() {
        let found = entry(&format!(
            r#""MESSAGE":"{}203.0.113.77""#,
            "a ".repeat(32_765)
        ))
        .unwrap();
        assert!(found.is_cut && found.line.len() < MAX_LINE_BYTES);
        assert!(found.line.ends_with(b" a"));
    }

    #[test]
    fn only_journald_says_that_messages_are_missing() {
        let text = r#""MESSAGE":"Suppressed 1234 messages from ssh.service""#;
        let id = format!("\"MESSAGE_ID\":\"{SUPPRESSED_ID}\"");
        let said = |fields: String| entry(&fields).unwrap().suppressed();

        assert_eq!(
            said(format!("{text},{id},\"_TRANSPORT\":\"driver\"")),
            Some(1234)
        );
        assert_eq!(said(format!("{text},{id},\"_TRANSPORT\":\"syslog\"")), None);
        assert_eq!(said(format!("{text},\"_TRANSPORT\":\"driver\"")), None);
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for json in [
            "",
            "{",
            "7",
            "{}",
            r#"{"__CURSOR":"c"}"#,
            r#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"x"}"#,
        ] {
            assert_eq!(Entry::parse(json.as_bytes()), None, "{json}");
        }
    }
}
