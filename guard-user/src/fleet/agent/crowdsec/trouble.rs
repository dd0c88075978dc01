//! Why a LAPI did not give what was asked for. Texts of the LAPI are a stranger's: they are cut and made printable.

use crate::{failure::Failure, text::value::plain};

/// Longest text of somebody else in a message.
const MOST_TEXT: usize = 120;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A file of ours, or a setting.
    #[error("{}", .0.in_brackets())]
    Ours(Failure),
    /// Nobody there, or nobody who speaks HTTP.
    #[error("no answer: {0}")]
    Away(String),
    /// It says no.
    #[error("{}", refusal(*.0, .1))]
    Refused(u16, String),
    /// It says what makes no sense.
    #[error("a bad answer: {0}")]
    Nonsense(String),
}

impl Trouble {
    /// Is it the key, the certificate or the password?
    pub(super) fn is_about_us(&self) -> bool {
        match self {
            Self::Ours(_) | Self::Refused(401 | 403, _) => true,
            Self::Away(_) | Self::Refused(..) | Self::Nonsense(_) => false,
        }
    }
}

fn refusal(status: u16, text: &str) -> String {
    let said = if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    };
    match status {
        401 | 403 => format!(
            "the LAPI refuses this host ({status}{said}); is the key, certificate or password right?"
        ),
        _ => format!("the LAPI answers with an error ({status}{said})"),
    }
}

/// Printable ASCII, and not long.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut shown: String = plain(text)
        .chars()
        .map(|letter| if letter.is_ascii() { letter } else { '?' })
        .take(most + 1)
        .collect();
    if shown.len() > most {
        shown.truncate(most.saturating_sub(3));
        shown.push_str("...");
    }
    shown
}

/// The same for texts in messages.
pub(super) fn shown(text: impl std::fmt::Display) -> String {
    short(&text.to_string(), MOST_TEXT)
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Ours(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_strangers_are_cut_and_printable() {
        let text = short("a\u{1b}[31m\n\u{e4}\u{202e}", 64);
        assert_eq!(text, "a\\u{1b}[31m\\n??");
        let long = short(&"x".repeat(1000), 64);
        assert_eq!(long.len(), 64);
        assert!(long.ends_with("..."));
    }

    #[test]
    fn a_refused_key_is_called_that() {
        let text = Trouble::Refused(403, "access forbidden".to_owned()).to_string();
        assert!(text.contains("key") && text.contains("403"), "{text}");
    }
}
