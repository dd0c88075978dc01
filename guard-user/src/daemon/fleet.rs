//! guard-fleet's end in the daemon: what it hands over is checked and carried out, what it says of itself is kept. One
//! request at a time, beside the daemon's loop, which waits for none of it.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use super::keeper::{DaemonState, locked};
use crate::{
    bans::{
        BanTerm, Prefix,
        ledger::MemberSummary,
        store::{Now, OwnPage},
    },
    control::{
        Level, Request, Response,
        fleet::{
            CROWDSEC, FleetRecord, FleetReport, FleetSummary, FleetView, MOST_BANS, MOST_REASON,
            MemberView, OwnBan, OwnBans, OwnMark, PolicyState,
        },
    },
    controller::{Controller, FleetLedger},
    failure::{Exit, Failure},
    fleet::{FleetSettings, Member},
    text::value::{plain, printable},
};

/// Members that are listed; they must fit an answer.
const MOST_LISTED: usize = 100;
/// Silence of guard-fleet after which it counts as gone, in seconds.
const SILENCE_S: u64 = 10;

/// Answers what is asked of the fleet.
#[derive(Clone, Debug)]
pub(super) struct FleetHandler(Arc<Mutex<FleetState>>);

#[derive(Debug)]
pub(super) struct FleetState {
    pub(super) controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    /// With what the file was when they were read.
    settings: Option<(FleetSettings, FileMark)>,
    ledger: Option<FleetLedger>,
    report: Option<(FleetReport, Instant)>,
    /// What was said last of the policy of the fleet.
    pub(super) policy: Option<PolicyState>,
}

/// What tells one state of a file from another.
type FileMark = Option<(u64, SystemTime)>;

impl FleetHandler {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        Self(Arc::new(Mutex::new(FleetState {
            controller,
            state,
            settings: None,
            ledger: None,
            report: None,
            policy: None,
        })))
    }

    /// The answer; waits for the disk and for the lock of commands.
    pub(super) fn answer(&self, request: Request) -> Response {
        let mut fleet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fleet
            .answer(request)
            .unwrap_or_else(|failure| Response::failed(failure.exit, failure.in_brackets()))
    }

    /// What there is to say of the fleet in the daemon's report. For every second.
    pub(super) fn look(&self) {
        // Whoever holds it is working on it.
        if let Ok(mut fleet) = self.0.try_lock() {
            fleet.look();
        }
    }
}

impl FleetState {
    fn answer(&mut self, request: Request) -> Result<Response, Failure> {
        match request {
            Request::FleetOwn { since, from } => {
                self.joined()?;
                self.own(since.as_ref(), from.as_deref())
                    .map(Response::FleetOwn)
            }
            Request::FleetRecords { records } => self.take(&records),
            Request::FleetReport { report } => {
                self.report = Some((checked(report), Instant::now()));
                Ok(Response::Done)
            }
            Request::FleetPolicy { bundle } => self.take_policy(&bundle),
            Request::FleetPolicyProven { generation } => self.prove_policy(generation),
            Request::Fleet => Ok(Response::Fleet(self.view()?)),
            Request::FleetQuarantine { member, is_over } => {
                let controller = self.controller.clone();
                controller.quarantine_member(self.ledger()?, &member, is_over)?;
                let what = if is_over {
                    "is believed again"
                } else {
                    "is quarantined by an operator: its bans are lifted"
                };
                self.log(Level::Info, format!("fleet: {member} {what}"));
                Ok(Response::Done)
            }
            Request::Ping
            | Request::Status
            | Request::Jails
            | Request::Reconcile
            | Request::ReloadJails
            | Request::Attempt { .. }
            | Request::Stop => Err(Failure::new(Exit::Usage, "not of the fleet")),
        }
    }

    fn take(&mut self, records: &[FleetRecord]) -> Result<Response, Failure> {
        let settings = self.joined()?;
        let controller = self.controller.clone();
        let received = controller.take_received(self.ledger()?, &settings, records)?;
        for warning in received.warnings {
            self.log(Level::Error, warning);
        }
        for (member, why) in received.quarantined {
            let what = format!("fleet: {member} is quarantined: {why}; nothing of it is taken");
            self.log(Level::Warning, what);
        }
        Ok(Response::FleetTaken(received.taken))
    }

    fn own(&mut self, since: Option<&OwnMark>, from: Option<&str>) -> Result<OwnBans, Failure> {
        let since = since.map(|mark| (mark.epoch.as_str(), mark.revision));
        let from = from.map(read_cursor).transpose()?;
        let (page, now) = self.controller.own_bans(since, from, MOST_BANS)?;
        Ok(own_bans(page, &now))
    }

    fn ledger(&mut self) -> Result<&mut FleetLedger, Failure> {
        let ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => FleetLedger::open(&self.controller)?,
        };
        Ok(self.ledger.insert(ledger))
    }

    /// What is joined, read again when the file is another.
    fn settings(&mut self) -> Result<FleetSettings, Failure> {
        let path = self.controller.layout().fleet();
        let mark = mark(&path);
        if let Some((settings, read)) = &self.settings
            && *read == mark
        {
            return Ok(settings.clone());
        }
        let settings = FleetSettings::read(&path)?;
        self.settings = Some((settings.clone(), mark));
        Ok(settings)
    }

    pub(super) fn joined(&mut self) -> Result<FleetSettings, Failure> {
        let settings = self.settings()?;
        if settings.is_joined() {
            return Ok(settings);
        }
        let failure = Failure::new(Exit::NotFound, "this host has joined no fleet");
        Err(failure.help("`guardctl fleet join`, `guardctl crowdsec join`"))
    }

    fn view(&mut self) -> Result<FleetView, Failure> {
        let settings = self.settings()?;
        let mut members = match &self.ledger {
            Some(ledger) => ledger.members(),
            None => Vec::new(),
        };
        let more_members = members.len().saturating_sub(MOST_LISTED) as u64;
        members.truncate(MOST_LISTED);
        Ok(FleetView {
            is_joined: settings.is_joined(),
            report: self.report.as_ref().map(|(report, _)| report.clone()),
            report_age_s: self
                .report
                .as_ref()
                .map_or(0, |(_, at)| at.elapsed().as_secs()),
            policy: match &settings.nats {
                Some(nats) => self.controller.fleet_policy(nats)?,
                None => None,
            },
            members: members
                .into_iter()
                .map(|member| view_of(member, &settings))
                .collect(),
            more_members,
        })
    }

    fn look(&mut self) {
        let problem = match self.settings() {
            Err(failure) => Some(failure.in_brackets()),
            Ok(settings) if !settings.is_joined() => None,
            Ok(_) => self.silence(),
        };
        let problem = problem.map(|what| (Level::Warning, what));
        let summary = self.summary();
        let mut state = locked(&self.state);
        state.events.standing("fleet", problem);
        state.report.fleet = summary;
    }

    /// How it is, in figures.
    fn summary(&mut self) -> FleetSummary {
        let settings = self.settings().unwrap_or_default();
        let report = self
            .report
            .as_ref()
            .filter(|(_, at)| at.elapsed().as_secs() < SILENCE_S)
            .map(|(report, _)| report);
        let nats = report.and_then(|report| report.nats.as_ref());
        let crowdsec = report.and_then(|report| report.crowdsec.as_ref());
        let engines = [
            (
                "nats",
                settings.nats.is_some(),
                nats.is_some_and(|nats| nats.is_current),
            ),
            (
                "crowdsec",
                settings.crowdsec.is_some(),
                crowdsec.is_some_and(|crowdsec| crowdsec.is_current),
            ),
        ];
        let members = self.ledger.as_ref().map(FleetLedger::members);
        FleetSummary {
            engines: engines
                .into_iter()
                .filter(|(_, is_joined, _)| *is_joined)
                .map(|(name, _, is_current)| (name.to_owned(), is_current))
                .collect(),
            quarantined: members
                .iter()
                .flatten()
                .filter(|member| member.quarantined.is_some())
                .count() as u64,
        }
    }

    /// What keeps this host from hearing of others' bans, if anything does.
    fn silence(&self) -> Option<String> {
        const STAYS: &str = "bans that are known stay to their ends";
        let Some((report, at)) = &self.report else {
            return Some(format!(
                "guard-fleet does not run: nothing is heard of other hosts; {STAYS} (`systemctl start guard-fleet`)"
            ));
        };
        let silent = at.elapsed().as_secs();
        if silent >= SILENCE_S {
            return Some(format!(
                "guard-fleet has been silent for {silent} s; {STAYS}"
            ));
        }
        let nats = report
            .nats
            .as_ref()
            .filter(|nats| !nats.is_current)
            .map(|nats| format!("NATS: STALE: {}", nats.state));
        let crowdsec = report
            .crowdsec
            .as_ref()
            .filter(|crowdsec| !crowdsec.is_current)
            .map(|crowdsec| format!("CrowdSec: STALE: {}", crowdsec.state));
        let stale: Vec<String> = [nats, crowdsec].into_iter().flatten().collect();
        (!stale.is_empty()).then(|| format!("{}; {STAYS}", stale.join("; ")))
    }

    pub(super) fn log(&self, level: Level, message: String) {
        locked(&self.state).events.log(level, message);
    }
}

fn mark(path: &Path) -> FileMark {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

/// What guard-fleet says of itself is shown, so it must not be able to move a cursor, nor be long.
fn checked(mut report: FleetReport) -> FleetReport {
    const MOST_STATE: usize = 200;
    let tidy = |text: &mut String| {
        let short: String = text.chars().take(MOST_STATE).collect();
        *text = plain(&short);
    };
    if let Some(nats) = &mut report.nats {
        tidy(&mut nats.member);
        tidy(&mut nats.state);
    }
    if let Some(crowdsec) = &mut report.crowdsec {
        tidy(&mut crowdsec.state);
        crowdsec.skipped.truncate(16);
        for (scope, _) in &mut crowdsec.skipped {
            tidy(scope);
        }
    }
    report
}

fn view_of(member: MemberSummary, settings: &FleetSettings) -> MemberView {
    let trust = match (&settings.nats, member.name.parse::<Member>()) {
        (Some(nats), Ok(name)) => nats.trust(&name).to_string(),
        _ if member.name == CROWDSEC => "full".to_owned(),
        _ => "none".to_owned(),
    };
    MemberView {
        member: member.name,
        trust,
        in_force: member.in_force,
        noted: member.noted,
        refused: member
            .refused
            .into_iter()
            .map(|(why, count)| (why.to_string(), count))
            .collect(),
        quarantined: member.quarantined,
    }
}

/// Where a page begins: a prefix as [`cursor`] writes it.
fn read_cursor(text: &str) -> Result<Prefix, Failure> {
    let byte = |at: usize| {
        text.get(at..at + 2)
            .map(|pair| u8::from_str_radix(pair, 16))
    };
    let bytes: Option<Vec<u8>> = (0..17).map(|n| byte(2 * n)?.ok()).collect();
    bytes
        .filter(|_| text.len() == 34)
        .and_then(|bytes| Prefix::from_bytes(&bytes))
        .ok_or_else(|| Failure::new(Exit::Usage, "`from` is no beginning of a page"))
}

fn cursor(prefix: Prefix) -> String {
    let bytes = prefix.to_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn own_bans(page: OwnPage, now: &Now) -> OwnBans {
    let bans = page.rows.into_iter().map(|row| {
        let (id, left, reason) = match row.ban {
            None => (0, Some(0), String::new()),
            Some(ban) => {
                let left = match ban.end.left(now) {
                    BanTerm::Permanent => None,
                    // Never 0, which would lift it.
                    BanTerm::For(time) => {
                        Some(u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX))
                    }
                };
                let reason = format!("{}: {}", ban.origin, ban.reason);
                (ban.made, left, reason)
            }
        };
        OwnBan {
            prefix: row.prefix.to_string(),
            id,
            left,
            reason: printable(&reason, MOST_REASON),
        }
    });
    OwnBans {
        mark: OwnMark {
            epoch: page.epoch,
            revision: page.revision,
        },
        is_whole: page.is_whole,
        bans: bans.collect(),
        next: match (page.next, page.has_more) {
            (Some(prefix), _) => Some(cursor(prefix)),
            (None, true) => Some(String::new()),
            (None, false) => None,
        },
    }
}
