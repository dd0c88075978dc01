//! What a message says: a ban, in few bytes of JSON.

use serde::{Deserialize, Serialize};

use crate::{
    control::fleet::{MOST_REASON, MOST_SECONDS, OwnBan},
    text::value::printable,
};

/// The only version there is.
const VERSION: u8 = 1;
/// Longest message that is read; the stream takes no longer one.
pub(super) const MOST_BYTES: usize = 1024;

/// A ban, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    v: u8,
    /// Which ban it is.
    pub(super) id: u64,
    /// Seconds that are left when it is sent; 0: lifted.
    pub(super) left: u32,
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

impl Record {
    /// A ban of this host, as others hear of it.
    pub(super) fn of(ban: &OwnBan) -> Self {
        Self {
            v: VERSION,
            id: ban.id,
            left: ban.left.unwrap_or(MOST_SECONDS).min(MOST_SECONDS),
            reason: printable(&ban.reason, MOST_REASON),
        }
    }

    /// It is lifted.
    pub(super) fn lifted(id: u64) -> Self {
        Self {
            v: VERSION,
            id,
            left: 0,
            reason: String::new(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Numbers and text: there is nothing that JSON could not write.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for what is no record of this version.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let mut record: Self = serde_json::from_slice(bytes).ok()?;
        record.reason = printable(&record.reason, MOST_REASON);
        (record.v == VERSION).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is() {
        let own = OwnBan {
            prefix: "203.0.113.7".to_owned(),
            id: 7,
            left: None,
            reason: format!("jail sshd\u{1b}[2J{}", "x".repeat(999)),
        };
        let record = Record::of(&own);
        assert_eq!(record.left, MOST_SECONDS);
        assert!(record.reason.len() == MOST_REASON && record.reason.starts_with("jail sshd?[2J"));
        assert_eq!(Record::read(&record.bytes()), Some(record));
        let long = format!(
            "{{\"v\":1,\"id\":1,\"left\":1,\"reason\":\"{}\"}}",
            "x".repeat(MOST_BYTES)
        );
        for bad in [
            "",
            "null",
            "{}",
            "{\"v\":2,\"id\":1,\"left\":1}",
            "{\"v\":1,\"id\":-1,\"left\":1}",
            "{\"v\":1,\"id\":1,\"left\":99999999999}",
            "{\"v\":1,\"id\":1,\"left\":1",
            "{\"v\":1,\"id\":1,\"left\":-1}",
            "{\"v\":1,\"id\":1,\"left\":1e3}",
            "{\"v\":1,\"id\":99999999999999999999,\"left\":1}",
            "{\"v\":1,\"id\":1,\"left\":60,\"left\":61}",
            "{\"v\":1,\"id\":1,\"left\":60,\"reason\":[]}",
            "{\"v\":1,\"id\":1,\"left\":60} more",
            "{\"stream\":\"KV_guard\",\"seq\":4}",
            &long,
            &"[".repeat(MOST_BYTES),
            &"[".repeat(MOST_BYTES + 1),
        ] {
            assert_eq!(Record::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
