//! What guard-fleet and the daemon say to each other. guard-fleet talks to strangers and is believed nothing: what it
//! hands over is checked by the daemon, record by record.

use serde::{Deserialize, Serialize};

use super::MOST_BYTES;

/// The user that guard-fleet runs as. Root may ask the same.
pub const USER: &str = "guard-fleet";
/// Most records in one request, if they are short: [`FleetRecord::bytes`] of all must not be more than [`MOST_ROOM`].
pub const MOST_RECORDS: usize = 600;
/// What records have of a frame.
pub const MOST_ROOM: usize = MOST_BYTES - 1024;
/// Most bans in one answer: at their longest, so many fit a frame.
pub const MOST_BANS: usize = 150;
/// Longest reason, in bytes of printable ASCII.
pub const MOST_REASON: usize = 64;
/// Longest time that a record may ask for, in seconds: seven days. What is permanent is said again.
pub const MOST_SECONDS: u32 = 7 * 24 * 3600;
/// Whose records come from CrowdSec.
pub const CROWDSEC: &str = "crowdsec";
/// Whose records lift a prefix on every host, whoever banned it: operators of the fleet.
pub const LIFT: &str = "lift";

/// A ban that somebody else made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// Who: `GROUP/HOST`, [`CROWDSEC`] or [`LIFT`].
    pub by: String,
    /// An address or a network.
    pub prefix: String,
    /// Which ban of this prefix it is, among those of this member: another number is another ban. Nothing is
    /// computed with it.
    pub id: u64,
    /// Seconds that are left; 0: its member has lifted it.
    pub left: u32,
    /// Why.
    pub reason: String,
}

impl FleetRecord {
    /// At least as many bytes as it takes in a request. Its reason must be printable ASCII.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // Names and punctuation, and both numbers at their longest.
        const AROUND: usize = 96;
        let is_escaped = |byte: &u8| matches!(byte, b'"' | b'\\');
        let escaped = self.reason.bytes().filter(|byte| is_escaped(byte)).count();
        AROUND + self.by.len() + self.prefix.len() + self.reason.len() + escaped
    }
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetTaken {
    /// Records that are in force, or lifted.
    pub taken: u32,
    /// Records that wait for other members to say the same, or are only counted.
    pub noted: u32,
    /// Records that are refused, for good.
    pub refused: u32,
    /// Records that came too fast, to be handed over again.
    pub later: Vec<Later>,
}

/// A record that came too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// Its place in the request.
    pub index: u32,
    /// Seconds to wait before anything of this member is handed over again.
    pub seconds: u32,
}

/// A state of the bans that this host made itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMark {
    /// Which store it is: another one begins to count anew.
    pub epoch: String,
    /// Rises with every change.
    pub revision: u64,
}

/// Bans that this host's jails and operators made: all of them, page by page, or what has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnBans {
    /// The state that they lead to. Of several pages, that of the first counts: what changed meanwhile is asked for
    /// next.
    pub mark: OwnMark,
    /// Are these all bans? Else what has changed since the mark that was asked with.
    pub is_whole: bool,
    /// The bans.
    pub bans: Vec<OwnBan>,
    /// There is more: the next page begins here (all), or after `mark` (changes).
    pub next: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnBan {
    /// What is banned.
    pub prefix: String,
    /// Which ban of this prefix it is.
    pub id: u64,
    /// Seconds that are left, rounded up; 0: it is lifted. `None`: permanent.
    pub left: Option<u32>,
    /// Who and why, in words.
    pub reason: String,
}

/// What became of the policy that was signed for this host's group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Which; 0: none.
    pub generation: u64,
    /// How it is with it.
    pub step: PolicyStep,
    /// Why, in words.
    pub why: String,
}

/// How far a policy has come on this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyStep {
    /// It is not this host's turn, or it cannot be taken now.
    #[default]
    Waiting,
    /// It is in force, until this host proves that it can be reached.
    Pending,
    /// It is in force.
    Confirmed,
    /// It is not: the policy from before is.
    Failed,
}

impl std::fmt::Display for PolicyStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "FAILED",
        })
    }
}

/// How it is with guard-fleet, as it says itself; once in two seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetReport {
    /// Its process.
    pub pid: u32,
    /// NATS, if this host has joined a fleet.
    pub nats: Option<NatsReport>,
    /// CrowdSec, if this host has joined one.
    pub crowdsec: Option<CrowdsecReport>,
}

/// The connection to NATS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatsReport {
    /// `GROUP/HOST`.
    pub member: String,
    /// Does the server answer, and has everything been read that it has?
    pub is_current: bool,
    /// Seconds since it was so.
    pub stale_s: u64,
    /// What is the matter, or the server's name and version.
    pub state: String,
    /// Messages of the stream that are not read yet.
    pub behind: u64,
    /// Own bans that the server has not acknowledged yet.
    pub unacknowledged: u64,
    /// Own bans that are published.
    pub published: u64,
    /// Bans of this host that are too wide, or too many, to be published.
    pub withheld: u64,
    /// Records that could not be read.
    pub unreadable: u64,
    /// Records that were not of the member in whose name they came.
    #[serde(default)]
    pub forged: u64,
    /// Records of members that say more than is kept.
    #[serde(default)]
    pub overfull: u64,
    /// Members that sent a sign of life within the last minute.
    pub members: u64,
}

/// The connection to CrowdSec's LAPI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrowdsecReport {
    /// Did the last request succeed?
    pub is_current: bool,
    /// Seconds since one did.
    pub stale_s: u64,
    /// What is the matter, or the server's version.
    pub state: String,
    /// Decisions that are known and hold.
    pub decisions: u64,
    /// Decisions of scopes that guard cannot enforce, by scope.
    pub skipped: Vec<(String, u64)>,
    /// Alerts that were pushed.
    pub pushed: u64,
}

/// What the daemon knows of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetView {
    /// Is anything joined?
    pub is_joined: bool,
    /// What guard-fleet said last.
    pub report: Option<FleetReport>,
    /// Seconds since it said so.
    pub report_age_s: u64,
    /// The policy that was signed for this host's group; `None` when it takes none.
    pub policy: Option<PolicyState>,
    /// Members whose records were seen, the busiest first.
    pub members: Vec<MemberView>,
    /// Members that are not listed.
    pub more_members: u64,
}

/// The same in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSummary {
    /// What is joined, `nats` or `crowdsec`, and whether this host hears of it.
    pub engines: Vec<(String, bool)>,
    /// Members of which nothing is taken.
    pub quarantined: u64,
}

/// A member, as the daemon sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// `GROUP/HOST`, or `crowdsec`.
    pub member: String,
    /// `full`, `quorum N` or `watch`.
    pub trust: String,
    /// Bans of it that hold here.
    pub in_force: u64,
    /// Records of it that wait for others, or are only counted.
    pub noted: u64,
    /// Records that were refused, by why.
    pub refused: Vec<(String, u64)>,
    /// Why nothing of it is taken, if nothing is.
    pub quarantined: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_records_fit_a_frame() {
        let prefix = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128".to_owned();
        let record = FleetRecord {
            by: format!("{}/{}", "g".repeat(32), "h".repeat(64)),
            prefix: prefix.clone(),
            id: u64::MAX,
            left: MOST_SECONDS,
            // The worst that printable ASCII becomes in JSON.
            reason: "\\".repeat(MOST_REASON),
        };
        let short = FleetRecord {
            by: CROWDSEC.to_owned(),
            prefix: "203.0.113.7".to_owned(),
            reason: String::new(),
            ..record.clone()
        };
        for record in [record, short] {
            let most = (MOST_ROOM / record.bytes()).min(MOST_RECORDS);
            assert!(most >= 150, "{most}");
            let request = super::super::Request::FleetRecords {
                records: vec![record; most],
            };
            let text = serde_json::to_vec(&request).expect("JSON");
            assert!(text.len() <= MOST_BYTES, "{}", text.len());
        }
        let later = Later {
            index: u32::MAX,
            seconds: u32::MAX,
        };
        let answer = super::super::Response::FleetTaken(FleetTaken {
            later: vec![later; MOST_RECORDS],
            ..FleetTaken::default()
        });
        let text = serde_json::to_vec(&answer).expect("JSON");
        assert!(text.len() <= MOST_BYTES, "{}", text.len());
        let own = OwnBan {
            prefix,
            id: u64::MAX,
            left: Some(u32::MAX),
            reason: "\\".repeat(MOST_REASON),
        };
        let answer = super::super::Response::FleetOwn(OwnBans {
            mark: OwnMark {
                epoch: "e".repeat(64),
                revision: u64::MAX,
            },
            is_whole: true,
            bans: vec![own; MOST_BANS],
            next: Some("n".repeat(64)),
        });
        let text = serde_json::to_vec(&answer).expect("JSON");
        assert!(text.len() <= MOST_BYTES, "{}", text.len());
    }
}
