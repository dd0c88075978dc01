//! A daemon that a benchmark plays: it says what its host bans, and notes when it was handed what others ban. It takes
//! everything; whoever measures the rails needs a real one.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use ipnetwork::IpNetwork;

use crate::{
    control::{
        Request, Response,
        fleet::{FleetRecord, FleetTaken, MOST_RECORDS, OwnBan, OwnBans, OwnMark},
    },
    failure::Exit,
};

/// The daemon of one simulated host. Its memory is what the benchmark bans.
#[derive(Debug, Default)]
pub struct SimulatedDaemon(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of changes is the revision.
    own: Vec<OwnBan>,
    heard: HashMap<Ipv4Addr, Instant>,
}

impl SimulatedDaemon {
    /// Bans somebody on this host.
    pub fn ban(&self, source: Ipv4Addr, seconds: u32) {
        let mut state = self.state();
        let id = state.own.len() as u64 + 1;
        state.own.push(OwnBan {
            prefix: source.to_string(),
            id,
            left: Some(seconds),
            reason: "jail sshd: 5 failures".to_owned(),
        });
    }

    /// When this host was handed the ban of this source first, if it was.
    #[must_use]
    pub fn heard(&self, source: Ipv4Addr) -> Option<Instant> {
        self.state().heard.get(&source).copied()
    }

    /// How many sources it was handed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().heard.len()
    }

    /// Changes with every own ban.
    pub(super) fn note(&self) -> String {
        self.state().own.len().to_string()
    }

    pub(super) fn answer(&self, request: Request) -> Response {
        if let Request::FleetOwn { since, from } = request {
            return Response::FleetOwn(self.own(since, from));
        }
        if let Request::FleetRecords { records } = request {
            return Response::FleetTaken(self.take(&records));
        }
        Response::failed(Exit::Usage, "a simulated daemon does not answer that")
    }

    fn own(&self, since: Option<OwnMark>, from: Option<String>) -> OwnBans {
        let state = self.state();
        let is_whole = since.is_none();
        let first = match (since, from) {
            (Some(mark), _) => mark.revision as usize,
            (None, from) => from.and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        let last = state.own.len().min(first + MOST_RECORDS);
        let has_more = last < state.own.len();
        OwnBans {
            mark: OwnMark {
                epoch: "simulated".to_owned(),
                // Of all pages, the first says the state that they lead to.
                revision: if is_whole { state.own.len() } else { last } as u64,
            },
            is_whole,
            bans: state.own.get(first..last).unwrap_or_default().to_vec(),
            next: has_more.then(|| last.to_string()),
        }
    }

    fn take(&self, records: &[FleetRecord]) -> FleetTaken {
        let now = Instant::now();
        let mut state = self.state();
        for record in records {
            let network = record.prefix.parse().map(|network: IpNetwork| network.ip());
            if let (Ok(IpAddr::V4(source)), true) = (network, record.left > 0) {
                state.heard.entry(source).or_insert(now);
            }
        }
        FleetTaken {
            taken: records.len() as u32,
            ..FleetTaken::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(daemon: &SimulatedDaemon, since: Option<OwnMark>, from: Option<String>) -> OwnBans {
        let answer = daemon.answer(Request::FleetOwn { since, from });
        let Response::FleetOwn(own) = answer else {
            panic!("{answer:?}");
        };
        own
    }

    #[test]
    fn own_bans_come_in_pages_and_then_as_changes() {
        let daemon = SimulatedDaemon::default();
        for number in 0..MOST_RECORDS as u32 + 5 {
            daemon.ban(Ipv4Addr::from(0x2d00_0000 + number), 60);
        }
        let first = own(&daemon, None, None);
        assert!(first.is_whole && first.bans.len() == MOST_RECORDS);
        let second = own(&daemon, None, first.next.clone());
        assert_eq!((second.bans.len(), second.next), (5, None));
        assert!(own(&daemon, Some(first.mark.clone()), None).bans.is_empty());
        daemon.ban(Ipv4Addr::new(46, 0, 0, 1), 60);
        let news = own(&daemon, Some(first.mark), None);
        assert!(!news.is_whole && news.bans.len() == 1);
    }
}
