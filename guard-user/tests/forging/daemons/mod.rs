//! The exact lines of daemons, and what they do to the bytes of clients.

pub(crate) mod apache;
pub(crate) mod dovecot;
pub(crate) mod guard;
pub(crate) mod nginx;
pub(crate) mod postfix;
pub(crate) mod sshd;

/// Who really connects.
pub(crate) const PEERS: &[&str] = &["203.0.113.66", "2001:db8:66::6"];
/// Who is to be banned for it. No text is part of another.
pub(crate) const VICTIMS: &[&str] = &["198.51.100.77", "2001:db8:77::a:7"];

/// Lines of a daemon, in which `{addr}` stands for the peer as the daemon writes it, and every other word in
/// braces for a text of the client's.
pub(crate) struct Daemon {
    /// The built-in filters that read them, with their options.
    pub(crate) filters: &'static [&'static str],
    pub(crate) lines: &'static [&'static str],
    /// What it does to the texts of clients.
    pub(crate) escape: fn(&str) -> Vec<u8>,
    /// Can these lines be believed at all? Of others nothing may match, not even an honest one.
    pub(crate) is_trusted: bool,
}

impl Daemon {
    /// How many fields of this line a client chooses.
    pub(crate) fn fields(&self, line: &str) -> usize {
        parts(line)
            .filter(|part| matches!(part, Part::Field(_)))
            .count()
    }

    /// An honest client's line.
    pub(crate) fn benign(&self, line: &str, peer: &str) -> String {
        let text = self.filled(line, peer, |_, name| name.as_bytes().to_vec());
        String::from_utf8(text).expect("an honest line")
    }

    /// The line of a client who writes this into one of the fields.
    pub(crate) fn hostile(&self, line: &str, peer: &str, field: usize, text: &str) -> Vec<u8> {
        self.filled(line, peer, |number, name| match number == field {
            true => (self.escape)(text),
            false => name.as_bytes().to_vec(),
        })
    }

    fn filled(&self, line: &str, peer: &str, field: impl Fn(usize, &str) -> Vec<u8>) -> Vec<u8> {
        let mut text = Vec::new();
        let mut number = 0;
        for part in parts(line) {
            match part {
                Part::Text(words) => text.extend_from_slice(words.as_bytes()),
                Part::Peer => text.extend_from_slice(peer.as_bytes()),
                Part::Field(name) => {
                    text.extend(field(number, name));
                    number += 1;
                }
            }
        }
        text
    }
}

enum Part<'l> {
    Text(&'l str),
    Peer,
    Field(&'l str),
}

fn parts(line: &str) -> impl Iterator<Item = Part<'_>> {
    line.split('{').enumerate().flat_map(|(index, piece)| {
        if index == 0 {
            return vec![Part::Text(piece)];
        }
        let (name, rest) = piece.split_once('}').expect("a brace that is closed");
        let first = if name == "addr" {
            Part::Peer
        } else {
            Part::Field(name)
        };
        vec![first, Part::Text(rest)]
    })
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Daemon> {
    [
        &sshd::SSHD,
        &dovecot::DOVECOT,
        &postfix::POSTFIX,
        &apache::APACHE,
        &guard::GUARD,
    ]
    .into_iter()
    .chain(nginx::ACCESS)
}

/// Every byte that is no printable ASCII as this writes it.
pub(crate) fn escaped(text: &str, write: impl Fn(u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        write(byte, &mut out);
    }
    out
}
