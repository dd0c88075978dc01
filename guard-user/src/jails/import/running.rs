//! The bans that fail2ban has running, with the time that is left of each.

use std::{
    io,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use thiserror::Error;

use super::config::Config;
use crate::bans::BanTerm;

/// Where fail2ban keeps them unless it is told otherwise.
const DATABASE: &str = "/var/lib/fail2ban/fail2ban.sqlite3";
/// Reads them. fail2ban is written in Python, so the module that wrote the file is there wherever the file is; a
/// reader of SQLite of one's own would be a hundred times as large. Nothing of the file is put into the program.
const SCRIPT: &str = r#"
import sqlite3, sys, urllib.parse
db = sqlite3.connect("file:" + urllib.parse.quote(sys.argv[1]) + "?mode=ro", uri=True, timeout=5)
for jail, ip, begun, length in db.execute("SELECT jail, ip, timeofban, bantime FROM bips"):
    print(jail, ip, int(begun), int(length), sep="\t")
"#;

/// A ban of fail2ban's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningBan {
    /// The jail, as fail2ban calls it.
    pub jail: String,
    /// Who.
    pub source: IpAddr,
    /// For how long from now.
    pub left: BanTerm,
}

/// Why fail2ban's bans cannot be read; each names its file.
#[derive(Debug, Error)]
pub enum NotRead {
    /// The file is SQLite's, and python3 reads it.
    #[error("{0}: python3, which reads it, does not start: {1}")]
    Python(String, io::Error),
    /// What python3 said of it.
    #[error("{0}: {1}")]
    Database(String, String),
}

/// Those that run now, in seconds since 1970. None if fail2ban keeps none.
///
/// # Errors
/// Why they cannot be read.
pub fn running_bans(from: &Path, now: i64) -> Result<Vec<RunningBan>, NotRead> {
    let file = Config::database(from).unwrap_or_else(|| DATABASE.to_owned());
    if !Path::new(&file).is_file() {
        return Ok(Vec::new());
    }
    let ran = Command::new("python3")
        .args(["-I", "-c", SCRIPT, &file])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| NotRead::Python(file.clone(), error))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.lines().last().unwrap_or("python3 failed");
        return Err(NotRead::Database(file, last.to_owned()));
    }
    Ok(rows(&String::from_utf8_lossy(&ran.stdout), now))
}

/// Rows of a jail, an address, its time and its length; those that are over, and those of no address, are left out.
fn rows(text: &str, now: i64) -> Vec<RunningBan> {
    text.lines()
        .filter_map(|row| {
            let mut fields = row.split('\t');
            let jail = fields.next()?.to_owned();
            let source = fields.next()?.parse().ok()?;
            let begun: i64 = fields.next()?.parse().ok()?;
            let length: i64 = fields.next()?.parse().ok()?;
            let left = match length {
                ..0 => BanTerm::Permanent,
                _ => {
                    let left = begun.saturating_add(length).saturating_sub(now);
                    BanTerm::For(Duration::from_secs(
                        u64::try_from(left).ok().filter(|left| *left > 0)?,
                    ))
                }
            };
            Some(RunningBan { jail, source, left })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_ban_is_carried_over() {
        let text = "sshd\t203.0.113.7\t1000\t600\nsshd\t203.0.113.8\t1000\t50\nweb\t2001:db8::7\t1000\t-1\nx\tbob\t1000\t600\n";
        let seconds = |number| BanTerm::For(Duration::from_secs(number));
        let found = rows(text, 1100);
        let found: Vec<(&str, String, BanTerm)> = found
            .iter()
            .map(|ban| (ban.jail.as_str(), ban.source.to_string(), ban.left))
            .collect();
        assert_eq!(
            found,
            [
                ("sshd", "203.0.113.7".to_owned(), seconds(500)),
                ("web", "2001:db8::7".to_owned(), BanTerm::Permanent),
            ]
        );
    }

    #[test]
    fn a_database_of_fail2ban_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f2b 1.sqlite3");
        let make = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n\
            db.execute('CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, \
            bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON, PRIMARY KEY(ip, jail))')\n\
            db.execute(\"INSERT INTO bips VALUES('203.0.113.7', 'sshd', 1000, 600, 1, '{}')\")\ndb.commit()\n";
        let made = Command::new("python3")
            .args(["-c", make])
            .arg(&file)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            let is_strict = std::env::var("GUARD_TESTS_STRICT").is_ok_and(|value| value == "1");
            assert!(!is_strict, "python3 is missing");
            eprintln!("skipped: python3 with sqlite3 is missing");
            return;
        }
        let text = format!("[Definition]\ndbfile = {}\n", file.display());
        std::fs::write(folder.path().join("fail2ban.conf"), text).unwrap();

        let found = running_bans(folder.path(), 1100).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].left, BanTerm::For(Duration::from_secs(500)));
        std::fs::write(&file, "no database").unwrap();
        assert!(
            running_bans(folder.path(), 1100)
                .unwrap_err()
                .to_string()
                .contains("f2b 1.sqlite3")
        );
    }
}
