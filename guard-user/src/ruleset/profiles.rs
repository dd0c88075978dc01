//! Application profiles of ufw: names for what a program listens on. Those that are installed win over the table that
//! comes with guard, which has those of Debian's and Ubuntu's packages.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    model::{PortRange, Traffic, Transport},
    service::Services,
    traffic::{self, PortItem},
};
use crate::text::{
    files::{Overlay, Purpose},
    value::{BadValue, quoted},
};
use embedded::EMBEDDED;

mod embedded;

/// Where packages put them.
pub const FOLDER: &str = "/etc/ufw/applications.d";

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

/// A profile whose file makes no sense. It means nothing, also not what a profile of its name that comes with guard
/// means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    name: String,
    file: PathBuf,
    what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}]: {}", self.file.display(), self.name, self.what)
    }
}

/// A profile, or why there is none.
pub type Entry = Result<Profile, Mistake>;

/// Profiles by name.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, Entry>,
    /// Files that could not be read: whatever they define is not known.
    unreadable: Vec<String>,
}

impl Profiles {
    /// The table that comes with guard.
    #[must_use]
    pub fn embedded() -> Self {
        let entries = EMBEDDED.iter().filter_map(|(name, ports)| {
            let profile = Profile {
                name: (*name).to_owned(),
                file: None,
                traffic: meaning(ports).ok()?,
            };
            Some(((*name).to_owned(), Ok(profile)))
        });
        Self {
            by_name: entries.collect(),
            unreadable: Vec::new(),
        }
    }

    /// With the files of a folder, in order of their names. Mistakes are kept for those who ask for what they are about.
    #[must_use]
    pub fn with_folder(folder: &Path) -> Self {
        let mut profiles = Self::embedded();
        let mut files = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let problem = format!("{}: cannot be listed: {error}", folder.display());
                profiles.unreadable.push(problem);
                Vec::new()
            }
        };
        files.retain(|file: &PathBuf| !file.is_dir() && !is_left_over(file));
        files.sort_unstable();
        for file in files {
            match text_of(&file) {
                Ok(text) => profiles.add_file(&file, &text),
                Err(problem) => {
                    let problem = format!("{}: {}", file.display(), problem.message);
                    profiles.unreadable.push(problem);
                }
            }
        }
        profiles
    }

    fn add_file(&mut self, file: &Path, text: &str) {
        for (name, ports) in sections(text) {
            let mistake = |bad: BadValue| Mistake {
                name: name.to_owned(),
                file: file.to_path_buf(),
                what: bad.message,
            };
            let entry = match meaning_of(&ports) {
                Ok(traffic) => self.unless_twice(name, file, traffic).map_err(mistake),
                Err(bad) => Err(mistake(bad)),
            };
            self.by_name.insert(name.to_owned(), entry);
        }
    }

    /// The profile, unless a file has given the name to something else.
    fn unless_twice(
        &self,
        name: &str,
        file: &Path,
        traffic: Vec<Traffic>,
    ) -> Result<Profile, BadValue> {
        let earlier = match self.by_name.get(name) {
            Some(Ok(known)) if known.traffic == traffic => None,
            Some(Ok(known)) => known.file.as_ref(),
            Some(Err(mistake)) => Some(&mistake.file),
            None => None,
        };
        match earlier {
            Some(earlier) => Err(BadValue::new(format!(
                "another profile has this name, in {}",
                earlier.display()
            ))),
            None => Ok(Profile {
                name: name.to_owned(),
                file: Some(file.to_path_buf()),
                traffic,
            }),
        }
    }

    /// What stands for exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// The same where capital letters do not count.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Entry> {
        let mut all = self.by_name.iter();
        self.get(name).or_else(|| {
            all.find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, entry)| entry)
        })
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Files of profiles that could not be read, each with what is wrong.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }
}

fn text_of(file: &Path) -> Result<String, BadValue> {
    let bytes = Overlay::default().read(file, Purpose::Profiles);
    let bytes = bytes.map_err(|unreadable| BadValue::new(unreadable.to_string()))?;
    String::from_utf8(bytes.unwrap_or_default()).map_err(|_| BadValue::new("is not UTF-8 text"))
}

/// What editors and dpkg leave beside a file.
fn is_left_over(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.')
        || name.ends_with('~')
        || name.contains(".dpkg-")
        || name.contains(".ucf-")
}

/// Names of a file, each with what it says of its ports. A name begins with a letter, for ufw as well.
fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_named = false;
    for line in text.lines().map(str::trim) {
        let header = line.strip_prefix('[');
        if let Some(name) = header.and_then(|line| line.strip_suffix(']')) {
            let name = name.trim();
            is_named = name.starts_with(|first: char| first.is_ascii_alphabetic());
            if is_named {
                found.push((name, Vec::new()));
            }
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("ports")
            && let Some((_, ports)) = found.last_mut().filter(|_| is_named)
        {
            ports.push(value.trim());
        }
    }
    found
}

fn meaning_of(ports: &[&str]) -> Result<Vec<Traffic>, BadValue> {
    match ports {
        [] => Err(BadValue::new("it has no ports")),
        [ports] => meaning(ports)
            .map_err(|bad| BadValue::new(format!("ports {}: {}", quoted(ports), bad.message))),
        [_, second, ..] => Err(BadValue::new(format!(
            "ports {}: it has ports already",
            quoted(second)
        ))),
    }
}

/// What `80,443/tcp|443/udp` means.
fn meaning(ports: &str) -> Result<Vec<Traffic>, BadValue> {
    // Profiles have numbers alone.
    let services = Services::none();
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for part in ports.split('|') {
        let (list, protocol) = match part.trim().split_once('/') {
            Some((list, protocol)) => (list, protocol),
            None => (part.trim(), "any"),
        };
        let ranges: Vec<PortRange> = traffic::parse_ports(list, &services)?
            .into_iter()
            .filter_map(|item| match item {
                PortItem::Range(range) => Some(range),
                PortItem::Service(..) => None,
            })
            .collect();
        match protocol.to_lowercase().as_str() {
            "tcp" => tcp.extend(ranges),
            "udp" => udp.extend(ranges),
            "any" => {
                tcp.extend(&ranges);
                udp.extend(ranges);
            }
            _ => {
                let what = format!("protocol {} is neither tcp nor udp", quoted(protocol));
                return Err(BadValue::new(what));
            }
        }
    }
    let of = |transport, ranges: Vec<PortRange>| Traffic::Ports(transport, ranges);
    let (tcp, udp) = (traffic::sorted(tcp), traffic::sorted(udp));
    Ok(match (tcp.is_empty(), udp.is_empty()) {
        (false, false) if tcp == udp => vec![of(Transport::Both, tcp)],
        (false, false) => vec![of(Transport::Tcp, tcp), of(Transport::Udp, udp)],
        (false, true) => vec![of(Transport::Tcp, tcp)],
        (true, _) => vec![of(Transport::Udp, udp)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    fn ports(entry: Option<&Entry>) -> Vec<String> {
        let profile = entry.and_then(|entry| entry.as_ref().ok());
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
        assert_eq!(
            profiles.find("nginx full"),
            profiles.get("Nginx Full"),
            "ufw's names have capital letters, and nobody types them"
        );
    }

    #[test]
    fn installed_profiles_win_over_those_that_come_with_guard() {
        let folder = Folder::new();
        folder.write(
            "ssh",
            "# ours\n[OpenSSH]\ntitle=a\nports = 2222/tcp\n\n[Own App]\nports=1000:1010/udp|80,443/tcp\n",
        );
        folder.write("again", "[Own App]\nports=80,443/tcp|1000:1010/udp\n");
        folder.write("old.dpkg-old", "[Old]\nports=1/tcp\n");
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        let profiles = Profiles::with_folder(folder.path());
        assert_eq!(ports(profiles.get("OpenSSH")), ["2222 Tcp"]);
        assert_eq!(
            ports(profiles.get("Own App")),
            ["80,443 Tcp", "1000:1010 Udp"]
        );
        assert_eq!(profiles.get("Old"), None);
        assert!(profiles.get("NFS").is_some());
        assert_eq!(profiles.unreadable(), [""; 0]);
        let none = Profiles::with_folder(&folder.path().join("gone"));
        assert_eq!(none.names().count(), EMBEDDED.len());
        assert_eq!(none.unreadable(), [""; 0]);
    }

    #[test]
    fn a_profile_with_a_mistake_means_nothing_and_says_why() {
        let folder = Folder::new();
        folder.write("one", "[Twice]\nports=80/tcp\n");
        let long = "9".repeat(70_000);
        for (text, what) in [
            ("[App]\ntitle=x\n", "it has no ports"),
            ("[App]\nports=\n", "ports \"\": "),
            ("[App]\nports=|\n", "ports \"|\": "),
            ("[App]\nports=80,x/tcp\n", "ports \"80,x/tcp\": "),
            ("[App]\nports=70000/tcp\n", "port 70000 is out of range"),
            ("[App]\nports=9:7/tcp\n", "ports \"9:7/tcp\": "),
            (
                "[App]\nports=7/sctp\n",
                "protocol \"sctp\" is neither tcp nor udp",
            ),
            ("[App]\nports=7/\n", "protocol \"\" is neither tcp nor udp"),
            ("[App]\nports=http/tcp\n", "ports \"http/tcp\": "),
            ("[App]\nports=1/tcp\nports=2/tcp\n", "it has ports already"),
            (
                "[Twice]\nports=81/tcp\n",
                "another profile has this name, in ",
            ),
            ("[OpenSSH]\nports=ssh\n", "ports \"ssh\": "),
            (&format!("[App]\nports={long}/tcp\n"), "out of range"),
        ] {
            let file = folder.write("two", text);
            let profiles = Profiles::with_folder(folder.path());
            let name = text[1..].split(']').next().unwrap_or_default();
            let Some(Err(mistake)) = profiles.get(name) else {
                panic!("{text}: {:?}", profiles.get(name));
            };
            let said = mistake.to_string();
            let place = format!("{}: [{name}]: ", file.display());
            assert!(said.starts_with(&place), "{said}");
            assert!(said.contains(what), "{said}");
            assert!(said.len() < 400, "{said}");
        }
        for text in [
            "ports=1/tcp\n",
            "[9]\nports=9/tcp\n",
            "[D\nports=9\n",
            "[]\nports=9\n",
        ] {
            folder.write("two", text);
            let profiles = Profiles::with_folder(folder.path());
            assert_eq!(profiles.names().count(), EMBEDDED.len() + 1, "{text}");
        }
    }

    #[test]
    fn files_that_are_none_are_named_and_not_waited_for() {
        let folder = Folder::new();
        folder.write("binary", b"[App]\nports=\xff\n");
        folder.write("huge", vec![b'#'; (1 << 20) + 1]);
        make_fifo(&folder.path().join("pipe"));
        std::os::unix::fs::symlink("/nowhere", folder.path().join("broken")).expect("a link");
        let profiles = Profiles::with_folder(folder.path());
        let said = profiles.unreadable().join("\n");
        for part in [
            "/binary: is not UTF-8 text",
            "/huge: is larger than 1 MiB",
            "/pipe: is not a regular file",
            "/broken: is a symbolic link to nothing",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(profiles.names().count(), EMBEDDED.len());
    }

    fn make_fifo(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.is_ok_and(|status| status.success()));
    }
}
