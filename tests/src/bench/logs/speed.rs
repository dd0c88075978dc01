//! Lines per second through the sshd filter: guard's, and fail2ban's modules on the same lines.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use guard_user::filters::{Filter, Given, LineOutcome, LineTime};

use super::Plan;
use crate::sshd_log;

/// What was found: the best rounds, for neighbours on the machine only ever make one slower.
#[derive(Clone, Debug)]
pub struct Speeds {
    /// Lines per second of CPU time.
    pub guard: f64,
    /// The same; none where it is not installed.
    pub fail2ban: Option<f64>,
    /// Failures in a hundred lines.
    pub found: usize,
}

/// What fail2ban's server does with each line of a log once it is read, with the count of failures and its
/// own log, but without threads and bans.
const SCRIPT: &str = r#"import logging, os, sys, time
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
start = time.process_time()
for line in lines:
    filter.processLineAndAdd(line)
spent = time.process_time() - start
print(len(lines) / spent, filter.failManager.getFailTotal())
"#;

/// Its own filter for the same server.
const STOCK: &str = "/etc/fail2ban/filter.d/sshd.conf";

pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Speeds> {
    let text = sshd_log::lines(0, plan.lines);
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    fs::create_dir_all(folder)?;
    let (log, script) = (folder.join("sshd.log"), folder.join("fail2ban.py"));
    let fewer: String = text.split_inclusive('\n').take(plan.fewer).collect();
    fs::write(&log, fewer)?;
    fs::write(&script, SCRIPT)?;
    let is_there = Path::new(STOCK).exists();
    let mut speeds = Speeds {
        guard: 0.0,
        fail2ban: None,
        found: 0,
    };
    for _ in 0..plan.rounds {
        let (speed, found) = guard(&lines)?;
        ensure!(found > 0, "guard found no failure in {}", log.display());
        speeds.guard = speeds.guard.max(speed);
        speeds.found = found * 100 / lines.len();
        if is_there {
            let speed = fail2ban(&script, &log)?;
            speeds.fail2ban = Some(speeds.fail2ban.unwrap_or_default().max(speed));
        }
    }
    fs::remove_file(&log)?;
    Ok(speeds)
}

fn guard(lines: &[&[u8]]) -> Result<(f64, usize)> {
    let file = Path::new("builtin:").join("sshd.conf");
    let mut filter =
        Filter::load(&file, &Given::new()).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now_ms = i64::try_from(now.as_millis())?;
    let (mut best, mut found) = (0.0_f64, 0);
    let begun = Instant::now();
    while best == 0.0 || begun.elapsed().as_secs_f64() < 0.5 {
        found = 0;
        let start = cpu_seconds()?;
        for line in lines {
            let outcome = filter.line(line, LineTime::InText, now_ms);
            found += usize::from(matches!(outcome, LineOutcome::Failure(_)));
        }
        best = best.max(lines.len() as f64 / (cpu_seconds()? - start));
    }
    Ok((best, found))
}

/// CPU time of this thread: neighbours on the machine take none of it.
fn cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let word = text.split(' ').next().context("an empty schedstat")?;
    Ok(word.parse::<f64>()? / 1e9)
}

fn fail2ban(script: &Path, log: &Path) -> Result<f64> {
    let output = Command::new("python3").arg(script).arg(log).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let (speed, found) = text
        .trim()
        .split_once(' ')
        .with_context(|| format!("fail2ban: {complaint}"))?;
    ensure!(
        found.parse::<u64>()? > 0,
        "fail2ban found no failure in {}",
        log.display()
    );
    Ok(speed.parse()?)
}
