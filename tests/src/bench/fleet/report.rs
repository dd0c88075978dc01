//! Results of part fleet, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fleet, Plan, Servers, Spread};

/// What the numbers are.
pub const EXPLANATION: &str = "Three nats-server with TLS, and all hosts, on this machine. Simulated hosts are sessions of guard-fleet as it is, in two\n\
     threads; \"heard\": from a ban on one until every other handed it to its daemon. \"dropped\": from before `guardctl ban` on a real\n\
     host to the first datagram that another real host dropped in XDP. \"stale\" and \"equal\": as `guardctl fleet status` and\n\
     `guardctl bans` of a real host say, whose cable carries nothing meanwhile.";

const AIM_HEARD: Duration = Duration::from_secs(1);
const AIM_STALE: Duration = Duration::from_secs(10);
const AIM_EQUAL: Duration = Duration::from_secs(5);
const AIM_JOIN: Duration = Duration::from_secs(10);
const AIM_MEMORY_MB: f64 = 64.0;

pub(super) fn heard_line(
    heard: &Spread,
    dropped: &Result<Spread, anyhow::Error>,
    servers: &Servers,
) -> String {
    let dropped = match dropped {
        Ok(dropped) => dropped.line(),
        Err(error) => format!("{error:#}"),
    };
    let memory: Vec<String> = servers
        .rss_kb
        .iter()
        .map(|kb| format!("{:.0}", *kb as f64 / 1024.0))
        .collect();
    format!(
        "{:<34}{}\n{:<34}{dropped}\nservers: {:.2} CPUs, {} MB; {:.0} bytes to a host per ban",
        "heard by every simulated host",
        heard.line(),
        "dropped by the other real host",
        servers.cpus,
        memory.join(" + "),
        servers.bytes_per_ban,
    )
}

pub(super) fn cut_line(plan: &Plan, stale: Duration, equal: Duration) -> String {
    format!(
        "{:<34}{:>8.1} s until STALE is shown; equal {:.1} s after its return",
        format!("cut off for {} s", plan.cut.as_secs()),
        stale.as_secs_f64(),
        equal.as_secs_f64()
    )
}

impl Fleet {
    /// What was aimed at, and whether it was reached.
    #[must_use]
    pub fn aims(&self) -> String {
        let time = |what, found: Duration, aim: Duration| {
            let verdict = if found <= aim { "reached" } else { "missed" };
            format!("fleet: {what}: {found:.1?} (aim {aim:?}, {verdict})\n")
        };
        let missing = self.heard.missing + self.leader.all.missing;
        let peak = self.join.peak_kb as f64 / 1024.0;
        let is_small = peak < AIM_MEMORY_MB;
        [
            time("heard, p99", self.heard.p99, AIM_HEARD),
            time("dropped, p99", self.dropped.p99, AIM_HEARD),
            time(
                "leader killed, heard by all",
                self.leader.unled.max,
                AIM_HEARD,
            ),
            format!(
                "fleet: bans that a host never heard of: {missing} (aim 0, {})\n",
                if missing == 0 { "reached" } else { "missed" }
            ),
            time("stale shown", self.stale, AIM_STALE),
            time("equal after return", self.equal, AIM_EQUAL),
            time("join", self.join.took, AIM_JOIN),
            format!(
                "fleet: memory of guard-fleet: {peak:.1} MB (aim {AIM_MEMORY_MB:.0} MB, {})\n",
                if is_small { "reached" } else { "missed" }
            ),
        ]
        .concat()
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let plan = &self.plan;
        json!({
            "simulated_hosts": plan.hosts,
            "bans_per_second": plan.per_second,
            "heard": self.heard.json(),
            "dropped": self.dropped.json(),
            "servers": {
                "cpus": self.servers.cpus,
                "rss_kb": self.servers.rss_kb,
                "bytes_to_a_host_per_ban": self.servers.bytes_per_ban,
            },
            "leader_killed": {
                "silence_s": self.leader.silence.as_secs_f64(),
                "heard": self.leader.unled.json(),
                "all": self.leader.all.json(),
            },
            "cut_off": {
                "seconds": plan.cut.as_secs_f64(),
                "stale_after_s": self.stale.as_secs_f64(),
                "equal_after_s": self.equal.as_secs_f64(),
            },
            "join": {
                "bans": self.join.keys,
                "seconds": self.join.took.as_secs_f64(),
                "peak_kb": self.join.peak_kb,
            },
        })
    }
}
