//! Log lines per second of CPU time through the sshd filter, with guard's own filter, and fail2ban's by guard and
//! by fail2ban itself, on the same lines.
//!
//! `cargo run --release -p guard-user --example filter_speed`

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use guard_user::filters::{Filter, Given, Outcome, Stamp, builtin};

const LINES: usize = 400_000;
/// fail2ban gets fewer, or one would wait for minutes.
const FEWER: usize = 20_000;
const STOCK: &str = "/etc/fail2ban/filter.d/sshd.conf";
const SECONDS: f64 = 0.5;
const ROUNDS: usize = 3;

/// What fail2ban does with each line of a log once it is read: the patterns alone, or as its server does,
/// with the count of failures and its own log, but without threads and bans.
const PYTHON: &str = r#"
import logging, os, sys, time
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from fail2ban.server.filter import Filter
from fail2ban.client.filterreader import FilterReader
reader = FilterReader("sshd", "jail", {}, basedir="/etc/fail2ban")
reader.read(); reader.getOptions({})
filter = Filter(None)
for option in reader.convert():
    values = option[3] if option[0] == "multi-set" else [option[3]]
    for value in values:
        if option[2] == "prefregex": filter.prefRegex = value
        elif option[2] == "addfailregex": filter.addFailRegex(value)
        elif option[2] == "addignoreregex": filter.addIgnoreRegex(value)
        elif option[2] == "maxlines": filter.setMaxLines(value)
        elif option[2] == "datepattern": filter.setDatePattern(value)
filter.setUseDns("no")
filter.setMaxRetry(10 ** 9)
logger = logging.getLogger("fail2ban")
logger.setLevel(logging.INFO)
logger.addHandler(logging.FileHandler(os.devnull))
lines = open(sys.argv[1]).read().splitlines()
start, found = time.process_time(), 0
if sys.argv[2] == "patterns":
    for line in lines:
        found += len(filter.processLine(line))
else:
    for line in lines:
        filter.processLineAndAdd(line)
    found = filter.failManager.getFailTotal()
print(len(lines) / (time.process_time() - start), found)
"#;

/// Lines of one kind, without their dates.
type Kind = fn(usize) -> String;

const FAILURES: [Kind; 5] = [
    |n| {
        format!(
            "srv sshd[{}]: Failed password for invalid user {} from {} port {} ssh2",
            pid(n),
            user(n),
            address(n),
            port(n)
        )
    },
    |n| {
        format!(
            "srv sshd[{}]: Invalid user {} from {} port {}",
            pid(n),
            user(n),
            address(n),
            port(n)
        )
    },
    |n| {
        format!(
            "srv sshd-session[{}]: Failed password for root from {} port {} ssh2",
            pid(n),
            address(n),
            port(n)
        )
    },
    |n| {
        format!(
            "srv sshd[{}]: Connection closed by invalid user {} {} port {} [preauth]",
            pid(n),
            user(n),
            address(n),
            port(n)
        )
    },
    |n| {
        format!(
            "srv sshd[{}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={}  user=root",
            pid(n),
            address(n)
        )
    },
];

const OTHERS: [Kind; 5] = [
    |n| {
        format!(
            "srv CRON[{}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            pid(n)
        )
    },
    |n| {
        format!(
            "srv sshd[{}]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
            pid(n)
        )
    },
    |n| format!("srv systemd-logind[612]: New session {n} of user deploy."),
    |n| {
        format!(
            "srv sudo: deploy : TTY=pts/{} ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/journalctl -n {n}",
            n % 9
        )
    },
    |n| {
        format!(
            "srv sshd[{}]: Starting session: command for deploy from {} port {} id 0",
            pid(n),
            address(n),
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

fn address(n: usize) -> String {
    format!("203.0.113.{}", n / 3 % 250 + 1)
}

fn port(n: usize) -> usize {
    32_768 + n / 3 % 28_000
}

fn main() {
    println!("{LINES} lines; per second of CPU time (failures found)");
    for (title, kinds) in [
        (
            "failures and others, half and half",
            [&FAILURES[..], &OTHERS[..]].concat(),
        ),
        ("failures alone", FAILURES.to_vec()),
        ("others alone", OTHERS.to_vec()),
    ] {
        let lines = lines(&kinds);
        println!("{title}");
        let own = Path::new("builtin:").join("sshd.conf");
        debug_assert_eq!(Some(&own), builtin::file("sshd").as_ref());
        let stock = PathBuf::from(STOCK);
        let (mut best, mut stocks) = ((0.0, 0), (0.0, 0));
        let (mut theirs, mut served) = ((0.0, 0), (0.0, 0));
        for _ in 0..ROUNDS {
            best = better(best, measured(&own, &lines));
            if stock.exists() {
                stocks = better(stocks, measured(&stock, &lines));
                let fewer = &lines[..FEWER];
                theirs = better(theirs, fail2ban(fewer, "patterns").unwrap_or_default());
                served = better(served, fail2ban(fewer, "server").unwrap_or_default());
            }
        }
        row("guard, its own filter", best);
        row("guard, fail2ban's filter", stocks);
        row("fail2ban, patterns alone", theirs);
        row("fail2ban, as its server", served);
        for (what, other) in [("patterns", theirs), ("server", served)] {
            if other.0 > 0.0 {
                let (own, stock) = (best.0 / other.0, stocks.0 / other.0);
                println!(
                    "  guard is {own:.1}x fail2ban's {what}, {stock:.1}x with the same filter"
                );
            }
        }
    }
}

/// Neighbours on the machine only ever make a round slower.
fn better(one: (f64, usize), other: (f64, usize)) -> (f64, usize) {
    if one.0 > other.0 { one } else { other }
}

fn row(name: &str, (speed, found): (f64, usize)) {
    println!("  {name:26} {speed:10.0} ({found})");
}

fn lines(kinds: &[Kind]) -> Vec<String> {
    (0..LINES)
        .map(|n| {
            // Six hundred lines a second.
            let second = n / 600;
            let mut line = format!(
                "Aug 14 {:02}:{:02}:{:02} ",
                8 + second / 3600,
                second / 60 % 60,
                second % 60
            );
            line.write_str(&kinds[n % kinds.len()](n))
                .expect("text takes everything");
            line
        })
        .collect()
}

/// The best of the times that fit into half a second.
fn measured(file: &Path, lines: &[String]) -> (f64, usize) {
    let mut filter = Filter::load(file, &Given::new()).expect("the filter is right");
    let now = 1_755_165_600_000;
    let (mut best, mut found) = (0.0_f64, 0);
    let begin = Instant::now();
    while best == 0.0 || begin.elapsed().as_secs_f64() < SECONDS {
        found = 0;
        let start = cpu_seconds();
        for line in lines {
            let outcome = filter.line(line.as_bytes(), Stamp::InText, now);
            found += usize::from(matches!(outcome, Outcome::Failure(_)));
        }
        #[expect(clippy::cast_precision_loss, reason = "less than 2^52 lines")]
        let speed = lines.len() as f64 / (cpu_seconds() - start);
        best = best.max(speed);
    }
    (best, found)
}

/// CPU time of this thread: neighbours on the machine take none of it.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says it");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("the first word is a number") / 1e9
}

fn fail2ban(lines: &[String], what: &str) -> Option<(f64, usize)> {
    let file = std::env::temp_dir().join(format!("guard-filter-speed-{}", std::process::id()));
    fs::write(&file, lines.join("\n")).ok()?;
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(&file)
        .arg(what)
        .output();
    fs::remove_file(&file).ok();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (speed, found) = text.trim().split_once(' ')?;
    Some((speed.parse().ok()?, found.parse().ok()?))
}
