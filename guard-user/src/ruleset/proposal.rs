//! The text of a policy that `setup` proposes.

use std::{fmt::Write as _, net::IpAddr};

/// Most characters of a comment.
const MOST_COMMENT: usize = 40;

/// What opens a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedPort {
    /// `tcp` or `udp`
    pub protocol: &'static str,
    /// The port on this host.
    pub port: u16,
    /// Who serves it, for the comment; whoever names a process or container writes this.
    pub owner: String,
    /// Only for them; none = everybody.
    pub from: Vec<IpAddr>,
}

/// The text of guard.toml.
#[must_use]
pub fn text(opened: &[OpenedPort]) -> String {
    let mut text = String::from(
        "#:schema file:///usr/share/guard/guard.schema.json\n\
         # Proposed by `guardctl setup`. `guardctl allow`, `deny` and `delete` edit this file and keep its comments;\n\
         # after editing it by hand: `guardctl check`, then `guardctl reload`.\n\
         # Replies and open sessions always pass. What no rule lets in is dropped.\n\n\
         default = \"deny\"\n",
    );
    for port_opened in opened {
        let OpenedPort {
            protocol,
            port,
            owner,
            from,
        } = port_opened;
        write!(
            text,
            "\n[[rule]]\naction = \"allow\"\nport = {port}\nproto = \"{protocol}\"\n"
        )
        .unwrap_or_default();
        if !from.is_empty() {
            let from: Vec<String> = from.iter().map(|ip| format!("\"{ip}\"")).collect();
            writeln!(text, "from = [{}]", from.join(", ")).unwrap_or_default();
        }
        let comment = comment(owner);
        if !comment.is_empty() {
            writeln!(text, "comment = \"{comment}\"").unwrap_or_default();
        }
    }
    text
}

/// What of a name can stand between quotes: a process calls itself what it likes.
fn comment(owner: &str) -> String {
    // `sshd (123)`: the number says nothing tomorrow.
    let name = owner.split(" (").next().unwrap_or_default();
    name.chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '.' | '_' | '-' | ':' | '/' | '+' | '@' => {
                letter
            }
            _ => '?',
        })
        .take(MOST_COMMENT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{names::Names, source::Source, testing::Folder};

    fn port_opened(protocol: &'static str, port: u16, owner: &str, from: &[&str]) -> OpenedPort {
        OpenedPort {
            protocol,
            port,
            owner: owner.to_owned(),
            from: from
                .iter()
                .map(|ip| ip.parse().expect("an address"))
                .collect(),
        }
    }

    #[test]
    fn a_proposal_is_a_policy_that_opens_what_it_says_whatever_processes_call_themselves() {
        let hostile = "x\"\n[[rule]]\naction = \"allow\"\n\\u0022\u{1b}[2J (1)";
        let opened = [
            port_opened("tcp", 22, "sshd (812)", &["203.0.113.7", "2001:db8::7"]),
            port_opened("tcp", 80, hostile, &[]),
            port_opened("udp", 51820, "", &[]),
        ];
        let text = text(&opened);
        let folder = Folder::new();
        folder.write("guard.toml", &text);
        let names = Names::embedded();
        let loaded = Source::new(folder.path()).with_names(&names).load();
        let policy = loaded
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
            .policy;

        assert!(policy.interfaces.is_empty());
        assert_eq!(policy.rules.len(), 3, "{text}");
        assert_eq!(policy.rules[0].source.prefixes.len(), 2);
        assert_eq!(policy.rules[0].comment.as_deref(), Some("sshd"));
        assert!(policy.rules[1].source.prefixes.is_empty());
        assert_eq!(policy.rules[2].comment, None);
        assert!(!text.contains('\u{1b}'));
    }
}
