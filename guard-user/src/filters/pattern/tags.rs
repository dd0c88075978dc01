//! fail2ban's tags in a pattern: `<HOST>` and its kin stand for addresses, `<F-NAME>…</F-NAME>` are
//! groups with a name.

/// A tag that stands for an address, or a part of one.
///
/// In a pattern that is being read each is one character of Unicode's private use, so that what
/// it stands for is decided when the pattern is written down again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostTag {
    /// An address or a name.
    Host,
    /// An address of either family, perhaps in brackets.
    Address,
    /// An address of either family, perhaps with a prefix length.
    Subnet,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// A name.
    Name,
    /// A prefix length.
    Length,
}

const V4: &str = r"(?:::f{4,6}:)?(?P<ip4>(?:[0-9]{1,3}\.){3}[0-9]{1,3})";
// Whatever is repeated ends with a colon, so the last one may stand alone: `fe80::`.
const V6: &str = r"(?P<ip6>(?:[0-9A-Fa-f]{1,4}:{1,2}|::){1,7}(?:[0-9A-Fa-f]{1,4}|:))";
const NAME: &str = r"(?P<dns>[\w.^_\-]*\w)";
const LENGTH: &str = r"(?P<cidr>[0-9]+)";

impl HostTag {
    const ALL: [Self; 7] = [
        Self::Host,
        Self::Address,
        Self::Subnet,
        Self::V4,
        Self::V6,
        Self::Name,
        Self::Length,
    ];
    const FIRST: u32 = 0xF_5000;

    fn symbol(self) -> char {
        let number = Self::FIRST + self as u32;
        char::from_u32(number).unwrap_or('\u{F5000}')
    }

    pub(super) fn of_symbol(symbol: char) -> Option<Self> {
        let number = u32::from(symbol).checked_sub(Self::FIRST)?;
        Self::ALL.get(number as usize).copied()
    }

    /// The groups that it captures, in order.
    pub(super) fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["ip4", "ip6", "dns"],
            Self::Address => &["ip4", "ip6"],
            Self::Subnet => &["ip4", "ip6", "cidr"],
            Self::V4 => &["ip4"],
            Self::V6 => &["ip6"],
            Self::Name => &["dns"],
            Self::Length => &["cidr"],
        }
    }

    /// What it stands for; no look-around, so that it needs no backtracking.
    pub(super) fn pattern(self) -> String {
        match self {
            Self::Host => format!(r"(?:\[?(?:{V4}|{V6})\]?|{NAME})"),
            Self::Address => format!(r"\[?(?:{V4}|{V6})\]?"),
            Self::Subnet => format!(r"\[?(?:{V4}|{V6})(?:/{LENGTH})?\]?"),
            Self::V4 => V4.to_owned(),
            Self::V6 => V6.to_owned(),
            Self::Name => NAME.to_owned(),
            Self::Length => LENGTH.to_owned(),
        }
    }

    /// Something simpler that matches at least the same.
    pub(super) fn outline(self) -> &'static str {
        match self {
            Self::Host | Self::Address | Self::Subnet => r"[\w.:/\[\]^_\-]+",
            Self::V4 | Self::V6 => "[0-9A-Fa-f:.]+",
            Self::Name => r"[\w.^_\-]+",
            Self::Length => "[0-9]+",
        }
    }

    fn named(tag: &str) -> Option<Self> {
        Some(match tag {
            "HOST" => Self::Host,
            "ADDR" | "F-ADDR/" => Self::Address,
            "SUBNET" | "F-SUBNET/" => Self::Subnet,
            "IP4" | "F-IP4/" => Self::V4,
            "IP6" | "F-IP6/" => Self::V6,
            "DNS" | "F-DNS/" => Self::Name,
            "CIDR" | "F-CIDR/" => Self::Length,
            _ => return None,
        })
    }
}

/// The pattern with its tags replaced by groups and by symbols of [`HostTag`].
pub(super) fn resolve(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 16);
    let mut open: Vec<&str> = Vec::new();
    let mut skips = 0;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = tag_end(rest) else {
            result.push('<');
            rest = &rest[1..];
            continue;
        };
        let tag = &rest[1..end - 1];
        rest = &rest[end..];
        if let Some(host) = HostTag::named(tag) {
            result.push(host.symbol());
        } else if tag == "SKIPLINES" {
            result.push_str(&format!(r"\n(?P<skiplines{skips}>(?:(?:.*\n)*?))"));
            skips += 1;
        } else if tag == "F-ID/" {
            result.push_str(r"(?P<fid>\S+)");
        } else if tag == "F-PORT/" {
            result.push_str(r"(?P<fport>\w+)");
        } else if let Some(name) = tag.strip_prefix("F-").filter(|name| is_name(name)) {
            open.push(name);
            result.push_str("(?P<");
            match name {
                "ID" => result.push_str("fid"),
                "PORT" => result.push_str("fport"),
                _ => result.push_str(&name.to_lowercase()),
            }
            result.push('>');
        } else if let Some(name) = tag.strip_prefix("/F-").filter(|name| open.contains(name)) {
            debug_assert!(is_name(name), "only names are opened");
            result.push(')');
        } else {
            result.push('<');
            result.push_str(tag);
            result.push('>');
        }
    }
    result.push_str(rest);
    result
}

/// Where a tag ends that begins with `text`.
fn tag_end(text: &str) -> Option<usize> {
    let end = text.find('>')?;
    let inner = &text[1..end];
    let inner = inner.strip_prefix('/').unwrap_or(inner);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
    (!inner.is_empty() && inner.chars().all(is_word)).then_some(end + 1)
}

fn is_name(name: &str) -> bool {
    let is_upper =
        |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
    !name.is_empty()
        && name
            .bytes()
            .all(|letter| is_upper(letter) || letter == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_groups_and_what_only_looks_like_one_stays() {
        for (text, resolved) in [
            ("<F-USER>a|b</F-USER>", "(?P<user>a|b)"),
            ("<F-ID>x</F-ID><F-PORT/>", r"(?P<fid>x)(?P<fport>\w+)"),
            ("</F-USER>", "</F-USER>"),
            (
                "(?P<name>x)(?<=y) <[^>]*> <no tag>",
                "(?P<name>x)(?<=y) <[^>]*> <no tag>",
            ),
            ("a<SKIPLINES>b", r"a\n(?P<skiplines0>(?:(?:.*\n)*?))b"),
            ("<f-user>", "<f-user>"),
        ] {
            assert_eq!(resolve(text), resolved);
        }
        let host = resolve("^<HOST>$").chars().nth(1);
        assert_eq!(host.and_then(HostTag::of_symbol), Some(HostTag::Host));
        for tag in HostTag::ALL {
            assert_eq!(HostTag::of_symbol(tag.symbol()), Some(tag));
        }
    }
}
