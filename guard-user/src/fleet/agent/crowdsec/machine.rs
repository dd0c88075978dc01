//! This host as a machine of CrowdSec, if it is one: what its jails ban becomes alerts at the LAPI. Times are by the
//! LAPI's clock, because a decision ends so long after the time that the alert names.
//!
//! At most [`MOST_WAITING`] bans wait for a LAPI that is away; the oldest give way.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hyper::Method;
use ipnetwork::IpNetwork;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    JailBans,
    bouncer::{Rhythm, Shared},
    client::{Answer, Asking, Client, Identity},
    decisions::own_scenario,
    secret,
    status::CrowdsecStatus,
    trouble::{Trouble, short},
};
use crate::control::fleet::{MOST_SECONDS, OwnBan};

/// Most bans that wait.
const MOST_WAITING: usize = 1000;
/// Most alerts in one request.
const MOST_ALERTS: usize = 50;
/// A token is good for an hour.
const RENEW: Duration = Duration::from_secs(30 * 60);
/// How often a machine says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Longest token.
const MOST_TOKEN: usize = 4096;
/// How the reason of a jail's ban begins.
const JAIL: &str = "jail ";

/// A ban to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    prefix: IpNetwork,
    end: Instant,
    jail: String,
    reason: String,
}

/// A login.
pub(super) struct Session {
    token: String,
    since: Instant,
    /// The LAPI's clock, at `since`.
    clock: Timestamp,
}

impl Session {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.since.elapsed()).unwrap_or_default();
        self.clock.checked_add(elapsed).unwrap_or(self.clock)
    }
}

/// Pushes, until it is dropped.
pub(super) async fn push_for_ever<J: JailBans>(
    client: &Client,
    shared: &Shared,
    bans: &mut J,
    status: &CrowdsecStatus,
    rhythm: Rhythm,
) {
    let mut machine = Machine {
        waiting: VecDeque::new(),
        session: None,
        heartbeat: None,
    };
    let mut failures = 0;
    // What the LAPI has already is not pushed again by a guard-fleet that has just begun.
    let mut first = std::pin::pin!(shared.first_pull());
    loop {
        tokio::select! {
            () = &mut first => break,
            bans = bans.next() => machine.add(bans, Instant::now()),
        }
    }
    machine
        .waiting
        .retain(|ban| !shared.known().has_own(&ban.prefix));
    loop {
        // Asking is not cut off by a new ban: an alert must not be sent twice.
        let pause = match machine.work(client, status).await {
            Ok(()) => {
                failures = 0;
                HEARTBEAT
            }
            Err(trouble) => {
                failures += 1;
                machine.session = None;
                status.push_failed(trouble.to_string());
                rhythm.pause(failures, &trouble)
            }
        };
        let mut pause = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut pause => break,
                bans = bans.next() => {
                    machine.add(bans, Instant::now());
                    if failures == 0 && !machine.waiting.is_empty() {
                        break;
                    }
                }
            }
        }
    }
}

struct Machine {
    waiting: VecDeque<Waiting>,
    session: Option<Session>,
    heartbeat: Option<Instant>,
}

impl Machine {
    fn add(&mut self, bans: Vec<OwnBan>, now: Instant) {
        for ban in bans {
            let Some((prefix, waiting)) = waiting(&ban, now) else {
                continue;
            };
            self.waiting.retain(|old| old.prefix != prefix);
            if let Some(waiting) = waiting {
                self.waiting.push_back(waiting);
            }
        }
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
    }

    async fn work(&mut self, client: &Client, status: &CrowdsecStatus) -> Result<(), Trouble> {
        let now = Instant::now();
        self.waiting.retain(|ban| ban.end > now);
        let is_alive = self.heartbeat.is_some_and(|at| at.elapsed() < HEARTBEAT);
        if is_alive && self.waiting.is_empty() {
            return Ok(());
        }
        if self
            .session
            .as_ref()
            .is_none_or(|session| session.since.elapsed() > RENEW)
        {
            self.session = Some(log_in(client).await?);
        }
        let Some(session) = &self.session else {
            return Ok(());
        };
        let machine = client.settings().machine.as_deref().unwrap_or_default();
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MOST_ALERTS);
            let alerts: Vec<Value> = self
                .waiting
                .iter()
                .take(count)
                .map(|ban| alert(ban, machine, session.now(), Instant::now()))
                .collect();
            let asking = Asking {
                method: Method::POST,
                path: "/v1/alerts".to_owned(),
                identity: Identity::Machine(session.token.clone()),
                body: Some(Value::Array(alerts)),
            };
            match client.ask_for(asking).await {
                Ok(answer) => drop(answer.body.short().await?),
                // What it cannot read now, it cannot read later either.
                Err(Trouble::Refused(status @ (400 | 413 | 422), said)) => {
                    self.waiting.drain(..count);
                    return Err(Trouble::Refused(status, said));
                }
                Err(trouble) => return Err(trouble),
            }
            self.waiting.drain(..count);
            status.pushed(count as u64);
        }
        if !is_alive {
            let asking = Asking {
                method: Method::GET,
                path: "/v1/heartbeat".to_owned(),
                identity: Identity::Machine(session.token.clone()),
                body: None,
            };
            client.ask_for(asking).await?;
            self.heartbeat = Some(Instant::now());
            status.pushed(0);
        }
        Ok(())
    }
}

pub(super) async fn log_in(client: &Client) -> Result<Session, Trouble> {
    let settings = client.settings();
    let password = match &settings.password {
        Some(path) => secret::text(path)?,
        None => String::new(),
    };
    let asking = Asking {
        method: Method::POST,
        path: "/v1/watchers/login".to_owned(),
        identity: Identity::Nobody,
        body: Some(json!({
            "machine_id": settings.machine,
            "password": password,
            "scenarios": [],
        })),
    };
    let answer = client.ask_for(asking).await?;
    let clock = clock(&answer);
    let since = answer.at;
    let said: Value = serde_json::from_slice(&answer.body.short().await?)
        .map_err(|_| Trouble::Nonsense("the login is no JSON".to_owned()))?;
    let token = said
        .get("token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if token.is_empty() || token.len() > MOST_TOKEN {
        return Err(Trouble::Nonsense("the login has no token".to_owned()));
    }
    Ok(Session {
        token: token.to_owned(),
        since,
        clock,
    })
}

/// The LAPI's clock; ours if it does not say.
fn clock(answer: &Answer) -> Timestamp {
    let date = answer.date.as_deref();
    let parsed: Option<Zoned> = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    parsed.map_or_else(Timestamp::now, |zoned| zoned.timestamp())
}

/// What is to be done about a ban of this host: nothing if no jail made it, pushed, or forgotten.
fn waiting(ban: &OwnBan, now: Instant) -> Option<(IpNetwork, Option<Waiting>)> {
    let prefix: IpNetwork = ban.prefix.parse().ok()?;
    let left = ban.left.unwrap_or(MOST_SECONDS).min(MOST_SECONDS);
    if left == 0 {
        return Some((prefix, None));
    }
    let rest = ban.reason.strip_prefix(JAIL)?;
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    let jail: String = rest.chars().take_while(is_plain).take(64).collect();
    let waiting = Waiting {
        prefix,
        end: now + Duration::from_secs(u64::from(left)),
        jail: if jail.is_empty() {
            "jail".to_owned()
        } else {
            jail
        },
        reason: short(&ban.reason, 200),
    };
    Some((prefix, Some(waiting)))
}

fn alert(ban: &Waiting, machine: &str, clock: Timestamp, now: Instant) -> Value {
    let is_one = matches!(ban.prefix, IpNetwork::V4(net) if net.prefix() == 32)
        || matches!(ban.prefix, IpNetwork::V6(net) if net.prefix() == 128);
    let (scope, field, value) = if is_one {
        ("Ip", "ip", ban.prefix.ip().to_string())
    } else {
        ("Range", "range", ban.prefix.to_string())
    };
    let scenario = own_scenario(&ban.jail, machine);
    let seconds = ban.end.saturating_duration_since(now).as_secs().max(1);
    let at = clock.to_string();
    json!({
        "scenario": scenario,
        "scenario_hash": "",
        "scenario_version": "",
        "message": format!("{machine}: {}", ban.reason),
        "events_count": 1,
        "start_at": at,
        "stop_at": at,
        "capacity": 0,
        "leakspeed": "0",
        "simulated": false,
        "remediation": true,
        "events": [],
        "source": {"scope": scope, "value": value, field: value},
        "decisions": [{
            "origin": "crowdsec",
            "type": "ban",
            "scope": scope,
            "value": value,
            "duration": format!("{seconds}s"),
            "scenario": scenario,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(prefix: &str, left: Option<u32>, reason: &str) -> OwnBan {
        OwnBan {
            prefix: prefix.to_owned(),
            id: 1,
            left,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn bans_of_jails_are_pushed_and_no_others() {
        let now = Instant::now();
        let mut machine = Machine {
            waiting: VecDeque::new(),
            session: None,
            heartbeat: None,
        };
        let bans = vec![
            own("203.0.113.7", Some(600), "jail sshd: 5 failures"),
            own("203.0.113.8", Some(600), "ban of an operator"),
            own("2001:db8::/64", None, "jail nginx\u{1b}[31m"),
            own("nowhere", Some(600), "jail sshd"),
            own("203.0.113.9", Some(600), "jail sshd"),
            own("203.0.113.9", Some(0), "jail sshd"),
        ];
        machine.add(bans, now);
        let jails: Vec<_> = machine
            .waiting
            .iter()
            .map(|ban| ban.jail.as_str())
            .collect();
        assert_eq!(jails, ["sshd", "nginx"]);
        let clock: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let alert = alert(&machine.waiting[1], "web-1", clock, now);
        assert_eq!(alert["source"]["scope"], "Range");
        assert_eq!(alert["source"]["range"], "2001:db8::/64");
        assert_eq!(alert["stop_at"], "2026-01-02T03:04:05Z");
        assert_eq!(alert["decisions"][0]["duration"], "604800s");
        assert_eq!(alert["decisions"][0]["scenario"], "guard/nginx on web-1");
        assert!(!alert.to_string().contains('\u{1b}'));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_give_way() {
        let mut machine = Machine {
            waiting: VecDeque::new(),
            session: None,
            heartbeat: None,
        };
        for number in 0..MOST_WAITING + 5 {
            let prefix = format!("10.0.{}.{}", number / 256, number % 256);
            machine.add(vec![own(&prefix, Some(60), "jail a")], Instant::now());
        }
        assert_eq!(machine.waiting.len(), MOST_WAITING);
        assert_eq!(machine.waiting[0].prefix.to_string(), "10.0.0.5/32");
    }
}
