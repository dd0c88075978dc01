//! Rates between two moments, as programs and people get them. Texts in here come from outside (names, remarks), and
//! have no control characters any more.

use guard_common::abi::{counters::Counter, service::Service};
use serde::Serialize;

/// Per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Packets.
    pub packets: f64,
    /// Bits.
    pub bits: f64,
}

impl Rate {
    /// Of what was counted in so many seconds.
    #[must_use]
    pub fn of(counted: Counter, seconds: f64) -> Self {
        Self {
            packets: counted.packets as f64 / seconds,
            bits: counted.bytes as f64 * 8.0 / seconds,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bits: self.bits + other.bits,
        }
    }
}

/// What happens at this moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Seconds since 1970.
    pub at: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Is a policy in force?
    pub active: bool,
    /// Which generation of it; 0 when none is.
    pub generation: u32,
    /// The change that waits for its confirmation.
    pub pending: Option<PendingChange>,
    /// What should be protected.
    pub interfaces: Vec<InterfaceState>,
    /// On all interfaces.
    pub totals: Totals,
    /// New connections and what stands beside them.
    pub connections: Connections,
    /// What the data path takes; `None` when the kernel does not say.
    pub cpu: Option<CpuShare>,
    /// By port and protocol, those of the last minute, the busiest first.
    pub ports: Vec<PortRates>,
    /// By reason, those that any packet ever had.
    pub reasons: Vec<ReasonRates>,
    /// Sources that are dropped most, of a sample.
    pub sources: Vec<SourceRates>,
    /// Bans.
    pub bans: BansNow,
    /// What is not shown, and why.
    pub notes: Vec<String>,
}

/// A change that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingChange {
    /// The generation that is in force meanwhile.
    pub generation: u32,
    /// Until it is taken back.
    pub seconds_left: u64,
    /// What happens then.
    pub then: String,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InterfaceState {
    /// Its name.
    pub name: String,
    /// `native`, `generic`, `offloaded`, or `off`: guard is not on it.
    pub mode: &'static str,
    /// Does guard filter there, and see what leaves?
    pub protected: bool,
    /// What is wrong, in one word.
    pub fault: Option<&'static str>,
    /// By its own count.
    pub received: Rate,
}

/// Packets by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Passed.
    pub passed: Rate,
    /// Dropped.
    pub dropped: Rate,
    /// Answered.
    pub answered: Rate,
    /// Passed because of monitor mode alone.
    pub monitored: Rate,
}

/// Per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Connections {
    /// Sessions that others began.
    pub incoming: f64,
    /// Conversations that this host began.
    pub outgoing: f64,
    /// SYNs that were answered with a cookie.
    pub cookies: f64,
    /// Segments that are part of no session.
    pub out_of_state: f64,
}

/// What guard's programs take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CpuShare {
    /// Of one CPU: 0.02 is two percent.
    pub share: f64,
    /// Per packet.
    pub nanoseconds: f64,
}

/// A port, or another protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PortRates {
    /// Which.
    #[serde(skip)]
    pub service: Service,
    /// `22/tcp`, `ping`.
    pub label: String,
    /// `tcp`, `udp`; `None` for what has no ports.
    pub protocol: Option<&'static str>,
    /// The port.
    pub port: Option<u16>,
    /// What it is called: `ssh`.
    pub name: Option<String>,
    /// Passed.
    pub passed: Rate,
    /// Dropped.
    pub dropped: Rate,
    /// Passed because of monitor mode alone.
    pub monitored: Rate,
    /// Why most of what is dropped is dropped, of a sample.
    pub main_reason: Option<&'static str>,
    /// The last minute.
    pub history: History,
}

/// Packets per second of the last minute, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// Passed.
    pub passed: Vec<u64>,
    /// Dropped, or would be but for monitor mode.
    pub dropped: Vec<u64>,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReasonRates {
    /// Its name.
    pub reason: &'static str,
    /// `pass`, `drop`, `answer`.
    pub action: &'static str,
    /// Packets that met its action.
    pub counted: Rate,
    /// Packets that passed all the same, in monitor mode.
    pub monitored: Rate,
    /// Since the counters began.
    pub total: u64,
}

/// Is a source shut out?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// It is dropped by rules.
    Free,
    /// It is banned.
    Banned,
    /// It has used up a limit.
    Limited,
}

impl SourceState {
    /// For a column.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Free => "",
            Self::Banned => "banned",
            Self::Limited => "limited",
        }
    }
}

/// A source that is dropped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceRates {
    /// The address; of IPv6, its /64.
    pub source: String,
    /// Packets per second that are dropped, as far as a sample tells.
    pub packets: f64,
    /// What most of them ask for.
    pub service: Option<String>,
    /// Why most of them are dropped.
    pub reason: &'static str,
    /// Is it banned or limited?
    pub state: SourceState,
    /// Until its ban ends, where one was made for just this source.
    pub seconds_left: Option<u64>,
}

/// The bans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BansNow {
    /// How many there are.
    pub number: u64,
    /// Those that end first, the next one first; permanent ones last.
    pub soonest: Vec<BanLeft>,
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BanLeft {
    /// What is banned.
    pub source: String,
    /// `None`: until it is lifted.
    pub seconds_left: Option<u64>,
    /// Who banned it.
    pub origin: String,
    /// Why.
    pub reason: String,
}
