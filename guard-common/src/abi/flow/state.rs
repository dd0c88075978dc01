//! How far a flow is, what a packet does to it, and how long it lives.

use super::{HAS_ECHOES, HAS_TCP_FLOWS, HAS_UDP_FLOWS};

/// How far a flow is. Lifetimes are in ticks of about a second since the last packet that counted.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A SYN went out.
    SynSent = 1,
    /// The handshake is complete as far as this end is concerned.
    Open = 2,
    /// This end sent FIN or RST.
    Closing = 3,
    /// Datagrams went out.
    OneWay = 4,
    /// Datagrams went both ways.
    BothWays = 5,
    /// An echo request went out.
    Echo = 6,
}

/// What a packet does to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It arrived.
    Arrives,
    /// A SYN went out.
    Opens,
    /// A segment that is neither SYN, FIN nor RST went out.
    Continues,
    /// A FIN or RST went out.
    Ends,
    /// A datagram went out.
    Datagram,
    /// An echo request went out.
    Echo,
    /// It was quoted by an ICMP error, which keeps nothing alive.
    Quoted,
    /// A SYN+ACK went out, which anybody's SYN provokes.
    Answers,
}

impl Event {
    /// The phase of a flow that begins with this; `None` when nothing may begin with it. A segment behind the
    /// handshake begins the entry of a session that was there before.
    #[inline(always)]
    #[must_use]
    pub const fn begins(self) -> Option<Phase> {
        match self {
            Self::Opens => Some(Phase::SynSent),
            Self::Datagram => Some(Phase::OneWay),
            Self::Echo => Some(Phase::Echo),
            Self::Continues => Some(Phase::Open),
            Self::Ends => Some(Phase::Closing),
            Self::Arrives | Self::Quoted | Self::Answers => None,
        }
    }

    /// Is what begins with this a session that somebody else may have begun?
    #[inline(always)]
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::Continues | Self::Ends)
    }

    /// The mark of a port that a flow begins from with this.
    #[inline(always)]
    #[must_use]
    pub const fn mark(self) -> u8 {
        match self {
            Self::Opens | Self::Continues | Self::Ends => HAS_TCP_FLOWS,
            Self::Datagram => HAS_UDP_FLOWS,
            Self::Echo => HAS_ECHOES,
            Self::Arrives | Self::Quoted | Self::Answers => 0,
        }
    }

    /// The event with this number, taken modulo 8; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number & 7 {
            1 => Self::Opens,
            2 => Self::Continues,
            3 => Self::Ends,
            4 => Self::Datagram,
            5 => Self::Echo,
            6 => Self::Quoted,
            7 => Self::Answers,
            _ => Self::Arrives,
        }
    }

    /// The inverse of [`Event::from_number`].
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Arrives => 0,
            Self::Opens => 1,
            Self::Continues => 2,
            Self::Ends => 3,
            Self::Datagram => 4,
            Self::Echo => 5,
            Self::Quoted => 6,
            Self::Answers => 7,
        }
    }
}

impl Phase {
    /// Seconds (ticks) that a flow lives after its last packet: reference values of Cilium and
    /// netfilter; an open TCP session that lives on this host outlives its entry (the socket table).
    #[inline(always)]
    #[must_use]
    pub const fn lifetime(self) -> u32 {
        match self {
            Self::SynSent | Self::Closing => 60,
            Self::Open => 8 * 3600,
            Self::OneWay => 30,
            Self::BothWays => 180,
            Self::Echo => 10,
        }
    }

    /// The phase after an event. Packets that arrive open nothing and close nothing: whoever forges
    /// them changes nothing.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::OneWay, Event::Arrives) => Self::BothWays,
            (_, Event::Opens) => Self::SynSent,
            (Self::SynSent, Event::Continues) => Self::Open,
            (Self::SynSent | Self::Open | Self::Closing, Event::Ends) => Self::Closing,
            (phase, _) => phase,
        }
    }

    /// Does this event keep a flow of this phase alive? Of datagrams only those that this end sends: whoever
    /// forges the other end would keep the flow open for ever. (A session of TCP is kept by what arrives, too:
    /// a forged segment makes this end answer.)
    #[inline(always)]
    #[must_use]
    pub const fn is_renewed_by(self, event: Event) -> bool {
        match event {
            Event::Quoted | Event::Answers => false,
            Event::Arrives => matches!(self, Self::Open | Self::Closing),
            Event::Opens | Event::Continues | Event::Ends | Event::Datagram | Event::Echo => true,
        }
    }

    #[inline(always)]
    const fn from_bits(bits: u64) -> Self {
        match bits & 0xff {
            2 => Self::Open,
            3 => Self::Closing,
            4 => Self::OneWay,
            5 => Self::BothWays,
            6 => Self::Echo,
            _ => Self::SynSent,
        }
    }
}

/// State of a flow: `tick of the last packet (32 bits) | local port (16) | phase (8) | kept (8)`, from
/// the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowState(u64);

/// Lifetime of a flow that was found when guard was enabled, in seconds: netfilter's own for an
/// established session (`nf_conntrack_tcp_timeout_established`).
const KEPT_LIFETIME: u32 = 5 * 24 * 3600;
const PORT_SHIFT: u32 = 32;
const PHASE_SHIFT: u32 = 48;
const KEPT: u64 = 1 << 56;

impl FlowState {
    /// A flow in this phase whose last packet passed at `tick`.
    #[inline(always)]
    #[must_use]
    pub const fn new(phase: Phase, tick: u32, local_port: u16) -> Self {
        Self(tick as u64 | (local_port as u64) << PORT_SHIFT | (phase as u64) << PHASE_SHIFT)
    }

    /// The same for a session that no packet evicts: it was there before guard, behind NAT, where
    /// no socket of this host vouches for it.
    #[must_use]
    pub const fn kept(self) -> Self {
        Self(self.0 | KEPT)
    }

    /// The same for a session that is not known to go on any more: it lives on as any other flow.
    #[must_use]
    pub const fn let_go(self) -> Self {
        Self(self.0 & !KEPT)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Its phase.
    #[inline(always)]
    #[must_use]
    pub const fn phase(self) -> Phase {
        Phase::from_bits(self.0 >> PHASE_SHIFT)
    }

    /// Its port on this host.
    #[inline(always)]
    #[must_use]
    pub const fn local_port(self) -> u16 {
        (self.0 >> PORT_SHIFT) as u16
    }

    /// May no other flow take its place while it lives?
    #[inline(always)]
    #[must_use]
    pub const fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }

    /// Ticks since its last packet. A tick from the future (another CPU was ahead) is no age.
    #[inline(always)]
    #[must_use]
    pub const fn age(self, now: u32) -> u32 {
        let age = now.wrapping_sub(self.0 as u32);
        if age > i32::MAX as u32 { 0 } else { age }
    }

    /// Ticks that it lives without a packet.
    #[inline(always)]
    #[must_use]
    pub const fn lifetime(self) -> u32 {
        if self.is_kept() && matches!(self.phase(), Phase::Open) {
            KEPT_LIFETIME
        } else {
            self.phase().lifetime()
        }
    }

    /// Is it over?
    #[inline(always)]
    #[must_use]
    pub const fn is_expired(self, now: u32) -> bool {
        self.age(now) > self.lifetime()
    }

    /// The state after an event, if it must be written: a change of phase at once, a new time only
    /// when an eighth of the lifetime is over, so that a busy flow is read and not written.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, event: Event, now: u32) -> Option<Self> {
        let phase = self.phase().after(event);
        let is_due = self.phase().is_renewed_by(event) && self.age(now) > self.lifetime() / 8;
        let is_same = phase as u8 == self.phase() as u8;
        if is_same && !is_due {
            return None;
        }
        const PHASE: u64 = 0xff << PHASE_SHIFT;
        const TICK: u64 = 0xffff_ffff;
        let after = self.0 & !PHASE | (phase as u64) << PHASE_SHIFT;
        // What only changes the phase leaves the time of the last packet that counted.
        let is_renewed = is_due || self.phase().is_renewed_by(event);
        Some(Self(if is_renewed {
            after & !TICK | now as u64
        } else {
            after
        }))
    }

    /// How much would be lost with it, for the choice of a victim: half-open and one-way flows go
    /// first, then the one that was silent longest. Kept flows are no victims.
    #[inline(always)]
    #[must_use]
    pub const fn worth(self, now: u32) -> u64 {
        let rank: u64 = match self.phase() {
            Phase::Echo | Phase::OneWay => 0,
            Phase::SynSent | Phase::Closing => 1,
            Phase::BothWays => 2,
            Phase::Open => 3,
        };
        if self.is_expired(now) {
            0
        } else if self.is_kept() {
            u64::MAX
        } else {
            1 + (rank << 32 | (u32::MAX - self.age(now)) as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_flow_is_read_and_not_written() {
        let state = FlowState::new(Phase::Open, 1000, 22);
        assert_eq!(state.after(Event::Arrives, 1000), None);
        assert_eq!(state.after(Event::Continues, 1000 + 3600), None);
        let later = state.after(Event::Arrives, 1000 + 3601).expect("renewed");
        assert_eq!((later.age(1000 + 3601), later.local_port()), (0, 22));
        assert!(!later.is_expired(1000 + 3601 + 8 * 3600));
        assert!(later.is_expired(1000 + 3601 + 8 * 3600 + 1));
    }

    #[test]
    fn phases_follow_what_this_end_sends() {
        let steps = [
            (Phase::SynSent, Event::Arrives, Phase::SynSent),
            (Phase::SynSent, Event::Continues, Phase::Open),
            (Phase::Open, Event::Arrives, Phase::Open),
            (Phase::Open, Event::Ends, Phase::Closing),
            (Phase::Closing, Event::Continues, Phase::Closing),
            (Phase::Closing, Event::Opens, Phase::SynSent),
            (Phase::OneWay, Event::Datagram, Phase::OneWay),
            (Phase::OneWay, Event::Arrives, Phase::BothWays),
            (Phase::BothWays, Event::Datagram, Phase::BothWays),
        ];
        for (before, event, after) in steps {
            assert_eq!(before.after(event), after, "{before:?} {event:?}");
            assert_eq!(Event::from_number(event.number()), event);
        }
    }

    #[test]
    fn a_kept_session_outlives_all_others_and_is_no_victim() {
        let open = FlowState::new(Phase::Open, 0, 1);
        let kept = open.kept();
        assert!(kept.worth(10) > open.worth(10));
        assert!(open.worth(10) > FlowState::new(Phase::BothWays, 10, 1).worth(10));
        assert!(open.worth(10) < FlowState::new(Phase::Open, 5, 1).worth(10));
        assert!(!kept.is_expired(4 * 24 * 3600));
        assert_eq!(kept.worth(6 * 24 * 3600), 0);
        assert_eq!(kept.phase(), Phase::Open);
    }
}
