//! Keys in the bytes that a terminal sends. What no key is known for is left out.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Tab,
    BackTab,
    Backspace,
    Escape,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
}

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// A key of so many bytes, or nothing that is known.
    Whole(Option<Key>, usize),
    /// More must come.
    Part,
}

/// Bytes that have come.
#[derive(Debug, Default)]
pub(super) struct Bytes(Vec<u8>);

/// A sequence is never longer; what is, is none.
const LONGEST: usize = 16;

impl Bytes {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next key; `None` when there is no whole one.
    pub(super) fn next(&mut self) -> Option<Key> {
        while !self.0.is_empty() {
            let First::Whole(key, length) = first(&self.0) else {
                return None;
            };
            self.0.drain(..length);
            if key.is_some() {
                return key;
            }
        }
        None
    }

    /// Nothing comes behind them: the beginning of a sequence was the key Esc.
    pub(super) fn end(&mut self) -> Option<Key> {
        let is_escape = self.0 == b"\x1b";
        self.0.clear();
        is_escape.then_some(Key::Escape)
    }

    /// Is there a part of a key?
    pub(super) fn has_part(&self) -> bool {
        !self.0.is_empty()
    }
}

fn first(bytes: &[u8]) -> First {
    match bytes {
        [] => First::Part,
        [0x1b] => First::Part,
        [0x1b, b'[' | b'O', rest @ ..] => sequence(rest),
        // Esc, and a key behind it.
        [0x1b, ..] => First::Whole(Some(Key::Escape), 1),
        [b'\r' | b'\n', ..] => First::Whole(Some(Key::Enter), 1),
        [b'\t', ..] => First::Whole(Some(Key::Tab), 1),
        [0x7f | 0x08, ..] => First::Whole(Some(Key::Backspace), 1),
        [0x03, ..] => First::Whole(Some(Key::Interrupt), 1),
        [0..0x20, ..] => First::Whole(None, 1),
        _ => letter(bytes),
    }
}

/// Behind `ESC [` or `ESC O`: numbers, and a letter that ends it.
fn sequence(rest: &[u8]) -> First {
    let Some(end) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return if rest.len() > LONGEST {
            First::Whole(None, rest.len() + 2)
        } else {
            First::Part
        };
    };
    let key = match (&rest[..end], rest[end]) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'C') => Some(Key::Right),
        (_, b'D') => Some(Key::Left),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        (_, b'Z') => Some(Key::BackTab),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        _ => None,
    };
    First::Whole(key, end + 3)
}

fn letter(bytes: &[u8]) -> First {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) if error.error_len().is_none() => return First::Part,
        Err(_) => return First::Whole(None, 1),
    };
    match valid.chars().next() {
        Some(letter) => {
            let key = (!letter.is_control()).then_some(Key::Char(letter));
            First::Whole(key, letter.len_utf8())
        }
        None => First::Whole(None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pieces: &[&[u8]]) -> Vec<Key> {
        let mut bytes = Bytes::default();
        let mut keys = Vec::new();
        for piece in pieces {
            bytes.add(piece);
            while let Some(key) = bytes.next() {
                keys.push(key);
            }
        }
        keys.extend(bytes.end());
        keys
    }

    #[test]
    fn keys_are_found_however_their_bytes_come() {
        assert_eq!(keys(&[b"q"]), [Key::Char('q')]);
        assert_eq!(
            keys(&[b"\x1b[A\x1bOB\x1b[5~"]),
            [Key::Up, Key::Down, Key::PageUp]
        );
        assert_eq!(keys(&[b"\x1b", b"[", b"Z"]), [Key::BackTab]);
        assert_eq!(keys(&[b"\x1b"]), [Key::Escape]);
        assert_eq!(keys(&[b"\x1bq"]), [Key::Escape, Key::Char('q')]);
        assert_eq!(keys(&["é".as_bytes()]), [Key::Char('é')]);
        assert_eq!(
            keys(&[&"é".as_bytes()[..1], &"é".as_bytes()[1..]]),
            [Key::Char('é')]
        );
        assert_eq!(
            keys(&[b"\x03\r\x7f"]),
            [Key::Interrupt, Key::Enter, Key::Backspace]
        );
    }

    #[test]
    fn what_is_no_key_is_left_out_and_ends() {
        assert_eq!(keys(&[b"\x00\xff\xfe\x1b[99zq"]), [Key::Char('q')]);
        let endless = [b"\x1b[".to_vec(), b"1;".repeat(100)].concat();
        assert_eq!(keys(&[&endless, b"q"]), [Key::Char('q')]);
        for seed in 0..=255u8 {
            let noise: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(seed) ^ seed).collect();
            let _ = keys(&[&noise]);
        }
    }
}
