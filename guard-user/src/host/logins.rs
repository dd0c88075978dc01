//! Who is logged in from where: what logind and utmp have written down, and what a process of an SSH server says
//! of itself.

use std::{
    collections::BTreeSet,
    fs,
    mem::offset_of,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// logind's notes, one file per session; every user may read them.
const SESSIONS: &str = "/run/systemd/sessions";
/// Logins with a terminal, where something still writes them.
const UTMP: &str = "/run/utmp";
/// Length of an entry, and where its address is.
const UTMP_BYTES: usize = size_of::<libc::utmpx>();
const UTMP_ADDRESS: usize = offset_of!(libc::utmpx, ut_addr_v6);

/// Addresses that somebody is logged in from; `None` where nobody keeps book.
#[must_use]
pub(super) fn recorded() -> Option<BTreeSet<IpAddr>> {
    let sessions = notes(Path::new(SESSIONS));
    let utmp = fs::read(UTMP).ok().filter(|bytes| !bytes.is_empty());
    let utmp = utmp.map(|bytes| terminals(&bytes));
    match (sessions, utmp) {
        (None, None) => None,
        (sessions, utmp) => Some(sessions.into_iter().chain(utmp).flatten().collect()),
    }
}

fn notes(folder: &Path) -> Option<BTreeSet<IpAddr>> {
    let entries = fs::read_dir(folder).ok()?;
    let files = entries.flatten().map(|entry| entry.path());
    // A pipe beside each keeps the session.
    let files = files.filter(|path| path.extension().is_none() && path.is_file());
    let texts = files.filter_map(|path| fs::read_to_string(path).ok());
    Some(texts.filter_map(|text| remote_host(&text)).collect())
}

/// `REMOTE_HOST=198.51.100.10` of a session that has not ended.
fn remote_host(text: &str) -> Option<IpAddr> {
    if text.lines().any(|line| line == "STATE=closing") {
        return None;
    }
    let host = text
        .lines()
        .find_map(|line| line.strip_prefix("REMOTE_HOST="))?;
    let ip: IpAddr = host.split('%').next()?.parse().ok()?;
    Some(ip.to_canonical())
}

fn terminals(bytes: &[u8]) -> BTreeSet<IpAddr> {
    let of = |entry: &[u8]| {
        let kind = libc::c_short::from_ne_bytes([entry[0], entry[1]]);
        let octets: [u8; 16] = entry
            .get(UTMP_ADDRESS..UTMP_ADDRESS + 16)?
            .try_into()
            .ok()?;
        let (v4, rest) = octets.split_at(4);
        let ip: IpAddr = if rest.iter().all(|byte| *byte == 0) {
            Ipv4Addr::from(<[u8; 4]>::try_from(v4).ok()?).into()
        } else {
            Ipv6Addr::from(octets).into()
        };
        (kind == libc::USER_PROCESS && !ip.is_unspecified()).then(|| ip.to_canonical())
    };
    bytes.chunks_exact(UTMP_BYTES).filter_map(of).collect()
}

/// How far a login has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has proven anything, or the process serves no single session.
    Before,
    /// The user has proven who he is, or another process of the session knows better.
    After,
}

/// What the title of a process of an SSH server says.
pub(super) fn stage(title: &str) -> Stage {
    const BEFORE: [&str; 4] = ["[accepted]", "[net]", "[pam]", "[preauth]"];
    let of_openssh = title.starts_with("sshd: ") || title.starts_with("sshd-session: ");
    let is_before = BEFORE.iter().any(|mark| title.contains(mark))
        || title.contains("[listener]")
        // Started for a session that has no title yet, or a server that tells nothing.
        || !of_openssh;
    if is_before {
        Stage::Before
    } else {
        Stage::After
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_process_of_a_server_says_whether_its_user_is_logged_in() {
        for (title, expected) in [
            ("sshd: alice [priv]", Stage::After),
            ("sshd: alice@pts/0", Stage::After),
            ("sshd: root@notty", Stage::After),
            ("sshd-session: alice [priv]", Stage::After),
            ("sshd-session: alice@pts/0", Stage::After),
            ("sshd: alice [net]", Stage::Before),
            ("sshd: unknown [net]", Stage::Before),
            ("sshd: [accepted]", Stage::Before),
            ("sshd-session: [accepted]", Stage::Before),
            ("sshd-session: alice [pam]", Stage::Before),
            (
                "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
                Stage::Before,
            ),
            ("/usr/lib/openssh/sshd-session -D -R", Stage::Before),
            ("/usr/lib/openssh/sshd-auth -D -R", Stage::Before),
            ("dropbear -F -E", Stage::Before),
            ("", Stage::Before),
        ] {
            assert_eq!(stage(title), expected, "{title}");
        }
    }

    #[test]
    fn logind_and_utmp_name_the_addresses_of_logins() {
        let folder = Folder::new();
        folder.write(
            "1",
            "UID=0\nREMOTE=1\nREMOTE_HOST=198.51.100.10\nSTATE=active\n",
        );
        folder.write("2", "REMOTE_HOST=::ffff:198.51.100.11\n");
        folder.write("3", "REMOTE_HOST=198.51.100.12\nSTATE=closing\n");
        folder.write("4", "REMOTE_HOST=office.example\n");
        folder.write("5.ref", "REMOTE_HOST=198.51.100.13\n");
        let notes = notes(folder.path()).expect("a folder");
        let expected = ["198.51.100.10", "198.51.100.11"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(notes, BTreeSet::from(expected));

        let mut utmp = vec![0; UTMP_BYTES * 3 + 5];
        for (index, (kind, address)) in [(7u8, [198, 51, 100, 10]), (8, [1, 1, 1, 1]), (7, [0; 4])]
            .into_iter()
            .enumerate()
        {
            let at = index * UTMP_BYTES;
            utmp[at] = kind;
            utmp[at + UTMP_ADDRESS..at + UTMP_ADDRESS + 4].copy_from_slice(&address);
        }
        assert_eq!(terminals(&utmp), BTreeSet::from([expected[0]]));
    }
}
