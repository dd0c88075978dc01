//! Lines as the log of a server with sshd has them: half of them failures, of a botnet, half others.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// A line without its date, by its number.
type Kind = fn(usize) -> String;

const KINDS: [Kind; 10] = [
    |n| {
        let (user, from, port) = (user(n), bot(n), port(n));
        format!(
            "sshd[{}]: Failed password for invalid user {user} from {from} port {port} ssh2",
            pid(n)
        )
    },
    |n| {
        format!(
            "CRON[{}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            pid(n)
        )
    },
    |n| {
        format!(
            "sshd[{}]: Invalid user {} from {} port {}",
            pid(n),
            user(n),
            bot(n),
            port(n)
        )
    },
    |n| {
        format!(
            "sshd[{}]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
            pid(n)
        )
    },
    |n| {
        format!(
            "sshd-session[{}]: Failed password for root from {} port {} ssh2",
            pid(n),
            bot(n),
            port(n)
        )
    },
    |n| format!("systemd-logind[612]: New session {n} of user deploy."),
    |n| {
        let (user, from, port) = (user(n), bot(n), port(n));
        format!(
            "sshd[{}]: Connection closed by invalid user {user} {from} port {port} [preauth]",
            pid(n)
        )
    },
    |n| {
        format!(
            "sudo: deploy : TTY=pts/{} ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/journalctl -n {n}",
            n % 9
        )
    },
    |n| {
        let from = bot(n);
        format!(
            "sshd[{}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={from}  user=root",
            pid(n)
        )
    },
    |n| {
        format!(
            "sshd[{}]: Starting session: command for deploy from {} port {} id 0",
            pid(n),
            bot(n),
            port(n)
        )
    },
];

// Three lines a connection.
fn pid(n: usize) -> usize {
    1000 + n / 3 % 30_000
}

fn user(n: usize) -> &'static str {
    [
        "admin", "ubuntu", "test", "oracle", "git", "postgres", "user1",
    ][n / 3 % 7]
}

/// One of 250 addresses that no host of the lab has.
fn bot(n: usize) -> String {
    format!("198.18.0.{}", n / 3 % 250 + 1)
}

fn port(n: usize) -> usize {
    32_768 + n / 3 % 28_000
}

/// So many lines, each with a line feed, beginning with the line of this number. They carry the second of now, and
/// each a microsecond of its own, as rsyslog writes them.
#[must_use]
pub fn lines(first: usize, number: usize) -> String {
    let stamp = stamp(SystemTime::now());
    let second = &stamp[..stamp.find('.').unwrap_or(stamp.len())];
    let mut text = String::with_capacity(number * 130);
    for n in first..first + number {
        let message = KINDS[n % KINDS.len()](n);
        let micros = n * 37 % 1_000_000;
        writeln!(text, "{second}.{micros:06}+00:00 srv {message}").expect("text takes everything");
    }
    text
}

/// Failed logins of one source.
#[must_use]
pub fn failures(source: &str, number: usize) -> String {
    let stamp = stamp(SystemTime::now());
    format!("{stamp} srv sshd[4711]: Failed password for root from {source} port 40000 ssh2\n")
        .repeat(number)
}

/// What `journalctl -o export` says of such messages; `first` is the number of the first.
#[must_use]
pub fn entries(first: usize, messages: impl Iterator<Item = String>) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_micros());
    let mut text = String::new();
    for (n, message) in messages.enumerate() {
        let n = first + n;
        let cursor = format!(
            "s=0123456789abcdef0123456789abcdef;i={n:x};b=00112233445566778899aabbccddeeff;m={n:x};\
             t=660d3c19ff0ff;x=ed2e7519b6104243"
        );
        writeln!(
            text,
            "__CURSOR={cursor}\n__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={n}\n\
             _BOOT_ID=00112233445566778899aabbccddeeff\n_TRANSPORT=syslog\n_HOSTNAME=srv\nSYSLOG_IDENTIFIER=sshd\n\
             MESSAGE={message}\n_PID={}\n_COMM=sshd\n_SYSTEMD_UNIT=ssh.service\n",
            pid(n)
        )
        .expect("text takes everything");
    }
    text
}

/// The messages of the mix that sshd says itself, from this number on.
pub fn messages(first: usize, number: usize) -> impl Iterator<Item = String> {
    let sshd = |n: usize| KINDS[n % KINDS.len()](n);
    (first..first + number).map(move |n| {
        let line = sshd(n);
        line.split_once(": ")
            .map_or(line.clone(), |(_, message)| message.to_owned())
    })
}

/// A date as RFC 5424 has it, which names its zone.
#[must_use]
pub fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days, for dates after 1970.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}+00:00",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stamp_is_the_date() {
        let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_300_000, "2026-11-21T22:26:40"),
        ] {
            assert_eq!(stamp(time(seconds)), format!("{date}.000000+00:00"));
        }
    }
}
