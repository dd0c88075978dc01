//! Which entries of the journal are meant: `journalctl`'s own matches, which is how fail2ban's
//! filters say it.

use std::collections::BTreeMap;

use nix::unistd::User;

/// What journald says of a process and the process has no say in. A program's name is what its file is called.
const ATTESTED: [&str; 5] = [
    USER,
    "_EXE",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_CGROUP",
    "_SYSTEMD_SLICE",
];
/// The user of a process, which journald asks the kernel for.
const USER: &str = "_UID";

/// Terms of which one must hold: `_SYSTEMD_UNIT=ssh.service _PID=7 + _COMM=sshd`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matches(Vec<FieldMatches>);

/// In a term, one of the values of each field must be there.
type FieldMatches = BTreeMap<String, Vec<String>>;

impl Matches {
    /// Reads matches; none if they are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut terms = vec![FieldMatches::new()];
        for word in words(text)? {
            if word == "+" {
                terms.push(FieldMatches::new());
                continue;
            }
            let (field, value) = word.split_once('=')?;
            let is_field = field
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            if field.is_empty() || !is_field {
                return None;
            }
            let values = terms.last_mut()?.entry(field.to_owned()).or_default();
            values.push(match field {
                USER => number_of(value),
                _ => value.to_owned(),
            });
        }
        let is_whole = terms.iter().all(|term| !term.is_empty());
        is_whole.then_some(Self(terms))
    }

    /// What a unit of systemd writes, and what is written about it by its processes.
    #[must_use]
    pub fn unit(name: &str) -> Self {
        let name = if name.contains('.') {
            name.to_owned()
        } else {
            format!("{name}.service")
        };
        let field = "_SYSTEMD_UNIT".to_owned();
        Self(vec![FieldMatches::from([(field, vec![name])])])
    }

    /// The names of the fields that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|term| term.keys().map(String::as_str))
    }

    /// Can any process write what is meant, because only names are asked for that it gives itself?
    #[must_use]
    pub fn can_be_forged(&self) -> bool {
        let is_attested =
            |term: &FieldMatches| ATTESTED.iter().any(|field| term.contains_key(*field));
        self.0.iter().any(|term| !is_attested(term))
    }

    /// As arguments of `journalctl`; those of several follow each other with `+`.
    #[must_use]
    pub fn arguments<'m>(all: impl IntoIterator<Item = &'m Self>) -> Vec<String> {
        let mut arguments = Vec::new();
        for term in all.into_iter().flat_map(|matches| &matches.0) {
            if !arguments.is_empty() {
                arguments.push("+".to_owned());
            }
            for (field, values) in term {
                arguments.extend(values.iter().map(|value| format!("{field}={value}")));
            }
        }
        arguments
    }

    /// Is an entry meant? `has` says whether a field of this name has this value.
    #[must_use]
    pub fn fit(&self, has: impl Fn(&str, &str) -> bool) -> bool {
        self.0.iter().any(|term| {
            term.iter()
                .all(|(field, values)| values.iter().any(|value| has(field, value)))
        })
    }
}

/// The number of a user who is named. The journal knows numbers, and the number of a daemon's user differs from host to
/// host; a user that this host does not have wrote nothing.
fn number_of(user: &str) -> String {
    let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
    let known = match is_number {
        true => None,
        false => User::from_name(user).ok().flatten(),
    };
    known.map_or_else(|| user.to_owned(), |user| user.uid.to_string())
}

/// Words of a text, with quotation marks as a shell knows them.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(matches: &str, entry: &[(&str, &str)]) -> bool {
        let matches = Matches::parse(matches).expect(matches);
        matches.fit(|name, value| entry.contains(&(name, value)))
    }

    #[test]
    fn an_entry_fits_as_journalctl_has_it() {
        let sshd = [("_SYSTEMD_UNIT", "ssh.service"), ("_COMM", "sshd")];
        let other = [("_SYSTEMD_UNIT", "cron.service"), ("_COMM", "sshd")];
        for (matches, first, second) in [
            ("_SYSTEMD_UNIT=ssh.service", true, false),
            ("_SYSTEMD_UNIT=ssh.service + _COMM=sshd", true, true),
            ("_SYSTEMD_UNIT=ssh.service _COMM=sshd", true, false),
            ("_SYSTEMD_UNIT=ssh.service _COMM=cron", false, false),
            ("_SYSTEMD_UNIT=a _SYSTEMD_UNIT=cron.service", false, true),
            ("_SYSTEMD_UNIT=ssh.service _UID=0", false, false),
        ] {
            assert_eq!(
                (fits(matches, &sshd), fits(matches, &other)),
                (first, second),
                "{matches}"
            );
        }
    }

    #[test]
    fn matches_become_arguments_of_one_child() {
        let one = Matches::parse("_COMM=sshd _SYSTEMD_UNIT='a b' + _COMM=x").unwrap();
        let unit = Matches::unit("nginx");

        assert_eq!(
            Matches::arguments([&one, &unit]),
            [
                "_COMM=sshd",
                "_SYSTEMD_UNIT=a b",
                "+",
                "_COMM=x",
                "+",
                "_SYSTEMD_UNIT=nginx.service"
            ]
        );
        assert_eq!(
            Matches::arguments([&Matches::unit("a.socket")]),
            ["_SYSTEMD_UNIT=a.socket"]
        );
    }

    #[test]
    fn a_name_that_a_process_gives_itself_can_be_forged() {
        for (text, can_be) in [
            ("_COMM=sshd", true),
            ("SYSLOG_IDENTIFIER=sshd", true),
            ("_SYSTEMD_UNIT=ssh.service + _COMM=sshd", true),
            ("_SYSTEMD_UNIT=ssh.service", false),
            ("_UID=0 _COMM=sshd + _SYSTEMD_UNIT=ssh.service", false),
            ("_EXE=/usr/sbin/sshd", false),
        ] {
            assert_eq!(
                Matches::parse(text).unwrap().can_be_forged(),
                can_be,
                "{text}"
            );
        }
    }

    #[test]
    fn a_user_may_be_named() {
        let arguments = |text| Matches::arguments([&Matches::parse(text).unwrap()]);
        assert_eq!(arguments("_UID=root"), ["_UID=0"]);
        assert_eq!(arguments("_UID=1000"), ["_UID=1000"]);
        assert_eq!(arguments("_UID=no-such-user"), ["_UID=no-such-user"]);
        assert_eq!(arguments("_COMM=root"), ["_COMM=root"]);
    }

    #[test]
    fn what_is_no_match_is_refused() {
        for text in [
            "",
            " ",
            "+",
            "ssh",
            "_COMM=a +",
            "+ _COMM=a",
            "_COMM=a + + _COMM=b",
            "=a",
            "comm=a",
            "--file=/etc/shadow",
            "-f",
            "_COMM='a",
            "_COMM=a /bin/x",
        ] {
            assert_eq!(Matches::parse(text), None, "{text}");
        }
    }
}
