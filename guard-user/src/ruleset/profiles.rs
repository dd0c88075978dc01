//! Application profiles of ufw: names for what a program listens on. Those that are installed win over the table that
//! comes with guard, which has those of Debian's and Ubuntu's packages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    model::{PortRange, Traffic, Transport},
    service::Services,
    traffic::{self, PortItem},
};

/// Where packages put them.
pub const FOLDER: &str = "/etc/ufw/applications.d";
/// Most bytes of a file that are believed to be one of profiles.
const LARGEST_BYTES: u64 = 1 << 20;

/// What a program listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// As it is written.
    pub name: String,
    /// The file that says so; `None` for what comes with guard.
    pub file: Option<PathBuf>,
    /// What it means: one entry, or one for each transport where their ports differ.
    pub traffic: Vec<Traffic>,
}

/// Profiles by name.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, Profile>,
}

impl Profiles {
    /// The table that comes with guard.
    #[must_use]
    pub fn embedded() -> Self {
        let entries = EMBEDDED.iter().filter_map(|(name, ports)| {
            let profile = Profile {
                name: (*name).to_owned(),
                file: None,
                traffic: meaning(ports)?,
            };
            Some(((*name).to_owned(), profile))
        });
        Self {
            by_name: entries.collect(),
        }
    }

    /// With the files of a folder; what makes no sense in them is skipped, as ufw does.
    #[must_use]
    pub fn with_folder(folder: &Path) -> Self {
        let mut profiles = Self::embedded();
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort_unstable();
        for file in files {
            let is_file =
                fs::metadata(&file).is_ok_and(|file| file.is_file() && file.len() < LARGEST_BYTES);
            if !is_file || is_left_over(&file) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap_or_default();
            for (name, ports) in read(&text) {
                if let Some(traffic) = meaning(ports) {
                    let name = name.to_owned();
                    let profile = Profile {
                        name: name.clone(),
                        file: Some(file.clone()),
                        traffic,
                    };
                    profiles.by_name.insert(name, profile);
                }
            }
        }
        profiles
    }

    /// The profile of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.by_name.get(name)
    }

    /// The same where capital letters do not count.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Profile> {
        let profiles = self.by_name.values();
        self.get(name).or_else(|| {
            profiles
                .into_iter()
                .find(|known| known.name.eq_ignore_ascii_case(name))
        })
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// What editors and dpkg leave beside a file.
fn is_left_over(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.')
        || name.ends_with('~')
        || name.contains(".dpkg-")
        || name.contains(".ucf-")
}

/// Names and ports of a file.
fn read(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut section = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = Some(name.trim());
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("ports")
            && let Some(name) = section
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
        {
            found.push((name, value.trim()));
        }
    }
    found
}

/// What `80,443/tcp|443/udp` means; `None` if it means nothing.
fn meaning(ports: &str) -> Option<Vec<Traffic>> {
    // Profiles have numbers alone.
    let services = Services::none();
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for part in ports.split('|') {
        let (list, protocol) = match part.trim().split_once('/') {
            Some((list, protocol)) => (list, protocol),
            None => (part.trim(), "any"),
        };
        let items = traffic::parse_ports(list, &services).ok()?;
        for item in items {
            let PortItem::Range(range) = item else {
                return None;
            };
            match protocol.to_lowercase().as_str() {
                "tcp" => tcp.push(range),
                "udp" => udp.push(range),
                "any" => {
                    tcp.push(range);
                    udp.push(range);
                }
                _ => return None,
            }
        }
    }
    let of = |transport, ranges: Vec<PortRange>| Traffic::Ports(transport, ranges);
    let (tcp, udp) = (traffic::sorted(tcp), traffic::sorted(udp));
    Some(match (tcp.is_empty(), udp.is_empty()) {
        (false, false) if tcp == udp => vec![of(Transport::Both, tcp)],
        (false, false) => vec![of(Transport::Tcp, tcp), of(Transport::Udp, udp)],
        (false, true) => vec![of(Transport::Tcp, tcp)],
        (true, false) => vec![of(Transport::Udp, udp)],
        (true, true) => return None,
    })
}

/// What the packages of Debian and Ubuntu call what they listen on.
const EMBEDDED: &[(&str, &str)] = &[
    ("AIM", "5190/tcp"),
    ("Apache", "80/tcp"),
    ("Apache Full", "80,443/tcp"),
    ("Apache Secure", "443/tcp"),
    ("Bind9", "53"),
    ("Bonjour", "5353/udp|5298"),
    ("CIFS", "137,138/udp|139,445/tcp"),
    ("CUPS", "631"),
    ("DNS", "53"),
    ("Deluge", "6881:6891/tcp"),
    ("Dovecot IMAP", "143/tcp"),
    ("Dovecot POP3", "110/tcp"),
    ("Dovecot Secure IMAP", "993/tcp"),
    ("Dovecot Secure POP3", "995/tcp"),
    ("IMAP", "143/tcp"),
    ("IMAPS", "993/tcp"),
    ("IPP", "631"),
    ("KTorrent", "6881/tcp|4444/udp"),
    ("Kerberos Admin", "749/tcp"),
    ("Kerberos Full", "88,749/tcp|464/udp"),
    ("Kerberos KDC", "88"),
    ("Kerberos Password", "464/udp"),
    ("LDAP", "389/tcp"),
    ("LDAPS", "636/tcp"),
    ("LPD", "515/tcp"),
    ("Lighttpd Full", "80,443/tcp"),
    ("Lighttpd HTTP", "80/tcp"),
    ("Lighttpd HTTPS", "443/tcp"),
    ("MSN", "1863|6891:6900/tcp|6901"),
    ("MSN SSL", "443/tcp"),
    ("Mail submission", "587/tcp"),
    ("NFS", "2049,111/tcp|2049,111/udp"),
    ("Nginx Full", "80,443/tcp"),
    ("Nginx HTTP", "80/tcp"),
    ("Nginx HTTPS", "443/tcp"),
    ("OpenSSH", "22/tcp"),
    ("POP3", "110/tcp"),
    ("POP3S", "995/tcp"),
    ("PeopleNearby", "5353/udp|5298"),
    ("Postfix", "25/tcp"),
    ("Postfix SMTPS", "465/tcp"),
    ("Postfix Submission", "587/tcp"),
    ("SMTP", "25/tcp"),
    ("SSH", "22/tcp"),
    ("Samba", "137,138/udp|139,445/tcp"),
    ("Socks", "1080/tcp"),
    ("Squid", "3128/tcp"),
    ("Telnet", "23/tcp"),
    ("Transmission", "51413"),
    ("Transparent Proxy", "8081/tcp"),
    ("VNC", "5900/tcp"),
    ("WWW", "80/tcp"),
    ("WWW Cache", "8080/tcp"),
    ("WWW Full", "80,443/tcp"),
    ("WWW Secure", "443/tcp"),
    ("XMPP", "5222/tcp|5269/tcp"),
    ("Yahoo", "5050"),
    ("qBittorrent", "6881/tcp"),
    ("svnserve", "3690/tcp"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    fn ports(profile: Option<&Profile>) -> Vec<String> {
        let traffic = profile.map(|profile| profile.traffic.as_slice());
        let texts = traffic.unwrap_or_default().iter().map(|traffic| {
            let Traffic::Ports(transport, ranges) = traffic else {
                return String::new();
            };
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            format!("{} {transport:?}", ranges.join(","))
        });
        texts.collect()
    }

    #[test]
    fn every_profile_that_comes_with_guard_means_something() {
        let profiles = Profiles::embedded();
        assert_eq!(profiles.names().count(), EMBEDDED.len());
        for (name, expected) in [
            ("OpenSSH", &["22 Tcp"][..]),
            ("WWW Full", &["80,443 Tcp"]),
            ("NFS", &["111,2049 Both"]),
            ("DNS", &["53 Both"]),
            ("Samba", &["139,445 Tcp", "137,138 Udp"]),
            ("MSN", &["1863,6891:6900,6901 Tcp", "1863,6901 Udp"]),
        ] {
            assert_eq!(ports(profiles.get(name)), expected, "{name}");
        }
        assert_eq!(profiles.get("ldap"), None);
        let found = profiles.find("nginx full").map(|found| found.name.as_str());
        assert_eq!(found, Some("Nginx Full"));
    }

    #[test]
    fn installed_profiles_win_and_their_nonsense_is_skipped() {
        let folder = Folder::new();
        folder.write(
            "ssh",
            "# ours\n[OpenSSH]\ntitle=a\nports = 2222/tcp\n\n[Own App]\nports=1000:1010/udp|80,443/tcp\n",
        );
        folder.write(
            "bad",
            "ports=1/tcp\n[A]\nports=x/tcp\n[B]\nports=7/sctp\n[C]\nports=\n[9]\nports=9/tcp\n[D\nports=9\n",
        );
        folder.write("old.dpkg-old", "[Old]\nports=1/tcp\n");
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        let profiles = Profiles::with_folder(folder.path());
        assert_eq!(ports(profiles.get("OpenSSH")), ["2222 Tcp"]);
        assert_eq!(
            ports(profiles.get("Own App")),
            ["80,443 Tcp", "1000:1010 Udp"]
        );
        for name in ["A", "B", "C", "9", "D", "Old"] {
            assert_eq!(profiles.get(name), None, "{name}");
        }
        assert!(profiles.get("NFS").is_some());
        assert!(profiles.get("OpenSSH").expect("one").file.is_some());
        let none = Profiles::with_folder(&folder.path().join("gone"));
        assert_eq!(none.names().count(), EMBEDDED.len());
    }
}
