//! Part logs: how fast log lines are evaluated, beside fail2ban, and how long it takes from a line in a log to
//! the first packet that is dropped for it.

mod delay;
mod speed;

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

pub use delay::Delays;
pub use speed::Speeds;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds of part a.
    pub rounds: usize,
    /// Lines that guard evaluates in a round.
    pub lines: usize,
    /// Lines that fail2ban evaluates, which takes it longer.
    pub fewer: usize,
    /// Attackers who are banned, of each row.
    pub attackers: u16,
    /// Bans in the store of the second row.
    pub bans: u32,
}

impl Plan {
    /// The usual, or a bit of everything.
    #[must_use]
    pub fn new(is_smoke: bool) -> Self {
        if is_smoke {
            Self {
                rounds: 1,
                lines: 20_000,
                fewer: 1000,
                attackers: 10,
                bans: 1000,
            }
        } else {
            Self {
                rounds: 3,
                lines: 400_000,
                fewer: 20_000,
                attackers: 300,
                bans: 100_000,
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Part a.
    pub speeds: Speeds,
    /// Part b, and what the daemon needs for it: bans that were in the store before, and the samples.
    pub delays: Vec<(u32, Delays)>,
}

/// What the numbers are.
pub const EXPLANATION: &str = "Lines per second of CPU time of one thread, failures and others half and half; fail2ban as its server does it, without\n\
     threads and bans. \"until dropped\": from the moment before five failures of a source are written to a file that the daemon\n\
     follows to the moment at which its first datagram was sent that got no answer (one every 0.2 ms).";

/// Multiple of fail2ban's speed that is aimed at.
const AIM_RATIO: f64 = 50.0;
const AIM_SPEED: f64 = 1_000_000.0;
const AIM_DELAY: Duration = Duration::from_millis(20);

/// Measures both.
///
/// # Errors
/// When something does not work at all.
pub fn measure(plan: &Plan, folder: &Path) -> Result<Logs> {
    let speeds = speed::measure(plan, folder)?;
    let delays = [0, plan.bans].map(|bans| Ok((bans, delay::measure(plan.attackers, bans)?)));
    let delays: Result<Vec<_>> = delays.into_iter().collect();
    Ok(Logs {
        speeds,
        delays: delays?,
    })
}

impl Logs {
    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let Speeds {
            guard,
            fail2ban,
            found,
        } = &self.speeds;
        let mut text = format!(
            "{:<34}{:>12.0} lines/s ({} of 100 are failures)\n",
            "sshd, guard's filter", guard, found
        );
        let mut aims = vec![("lines/s", AIM_SPEED, *guard)];
        if let Some(fail2ban) = fail2ban {
            let ratio = guard / fail2ban;
            text += &format!(
                "{:<34}{:>12.0} lines/s: guard is {ratio:.1}x\n",
                "sshd, fail2ban's server", fail2ban
            );
            aims.push(("times fail2ban's server", AIM_RATIO, ratio));
        } else {
            text += "fail2ban is not installed (`cargo xtask setup --tests`): not compared\n";
        }
        for (bans, delays) in &self.delays {
            let ms = |share| delays.at(share).as_secs_f64() * 1e3;
            text += &format!(
                "until dropped, {bans:>7} bans before {:>10.1} ms p50 {:>8.1} ms p99 {:>8.1} ms max ({} sources); daemon {:.1} MB, at most {:.1} MB\n",
                ms(0.5),
                ms(0.99),
                ms(1.0),
                delays.samples.len(),
                delays.rss_kb as f64 / 1024.0,
                delays.peak_kb as f64 / 1024.0,
            );
        }
        text += "\n";
        for (what, aim, found) in aims {
            let verdict = if found >= aim { "reached" } else { "missed" };
            text += &format!("guard: {what}: {found:.0} (aim {aim:.0}, {verdict})\n");
        }
        for (bans, delays) in &self.delays {
            let found = delays.at(0.99);
            let verdict = if found <= AIM_DELAY {
                "reached"
            } else {
                "missed"
            };
            text += &format!(
                "guard: until dropped, {bans} bans before, p99: {found:.1?} (aim {AIM_DELAY:?}, {verdict})\n"
            );
        }
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let Speeds {
            guard, fail2ban, ..
        } = &self.speeds;
        let delays = self.delays.iter().map(|(bans, delays)| {
            let ms = |share| delays.at(share).as_secs_f64() * 1e3;
            json!({
                "bans_before": bans,
                "samples": delays.samples.len(),
                "p50_ms": ms(0.5),
                "p99_ms": ms(0.99),
                "max_ms": ms(1.0),
                "daemon_rss_kb": delays.rss_kb,
                "daemon_peak_kb": delays.peak_kb,
            })
        });
        let mut speed = json!({"guard_lines_per_second": guard});
        if let Some(fail2ban) = fail2ban {
            speed["fail2ban_lines_per_second"] = json!(fail2ban);
            speed["ratio"] = json!(guard / fail2ban);
        }
        json!({"speed": speed, "until_dropped": delays.collect::<Vec<_>>()})
    }
}
