//! Lines of one connection belong together: `<F-MLFID>` says which. What `<F-NOFAIL>` marks is no failure
//! by itself and is remembered; `<F-MLFGAINED>` says that the user came in after all, and
//! `<F-MLFFORGET>` that the connection is over.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{
    found::Groups,
    verdict::{self, Failure, Host, Outcome},
};

/// Connections that are remembered. fail2ban remembers 100, which a flood of connections replaces
/// within a second.
const MAX_CONNECTIONS: usize = 8192;
/// How long one is remembered; fail2ban's own value.
const LIFETIME_MS: i64 = 5 * 60_000;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
struct Connection {
    groups: Groups,
    users: BTreeSet<String>,
    /// Lines of failures.
    matches: u32,
    /// Lines that were marked as no failure.
    unfailed: u32,
    /// A failure whose host is not known yet.
    is_pending: bool,
}

#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashMap<String, (Connection, i64)>,
    /// Keys by the time at which they came; those of connections that are over stay until then.
    order: VecDeque<(String, i64)>,
}

impl Connections {
    /// Makes of a match what it means together with what is known of its connection.
    pub(super) fn settle(
        &mut self,
        pattern: usize,
        groups: Groups,
        lines: u32,
        time_ms: Option<i64>,
        now_ms: i64,
    ) -> Outcome {
        let mut line = Connection {
            groups,
            ..Connection::default()
        };
        let Some(id) = line.groups.get("mlfid").map(str::to_owned) else {
            if line.groups.holds("nofail") {
                return Outcome::Pending;
            }
            line.matches = lines;
            return match verdict::host(&line.groups) {
                Some(host) => Outcome::Failure(line.failure(host, time_ms, pattern)),
                None => Outcome::None,
            };
        };
        let is_over = line.groups.take("mlfforget");
        let is_gained = line.groups.holds("mlfgained");
        if is_gained && !line.groups.holds("nofail") {
            // A success is no failure.
            let gained = line.groups.get("mlfgained").unwrap_or_default().to_owned();
            line.groups.set(&"nofail".into(), gained);
        }
        let mut is_unfailed = line.groups.holds("nofail");
        let known = self.take(&id, now_ms);
        let (mut connection, came) = match known {
            Some((mut known, came)) => {
                known.join(line, is_gained);
                (known, came)
            }
            None => {
                if !is_over {
                    line.note_user();
                }
                (line, now_ms)
            }
        };
        let mut adds_line = !is_gained;
        let was_pending = std::mem::take(&mut connection.is_pending);
        if was_pending || connection.users.len() > 1 {
            // A failure that was waiting for its host, or a second user: it counts.
            connection.groups.remove("nofail");
            connection.groups.remove("mlfgained");
            is_unfailed = false;
            adds_line = true;
        }
        if !is_unfailed {
            connection.matches += std::mem::take(&mut connection.unfailed);
            connection.matches += if adds_line { lines } else { 0 };
        } else if !is_over {
            connection.unfailed += lines;
        }
        let outcome = if connection.groups.holds("nofail") {
            Outcome::Pending
        } else if let Some(host) = verdict::host(&connection.groups) {
            Outcome::Failure(connection.failure(host, time_ms, pattern))
        } else {
            connection.is_pending = true;
            Outcome::Pending
        };
        if !is_over {
            self.put(id, connection, came);
        }
        outcome
    }

    fn take(&mut self, id: &str, now_ms: i64) -> Option<(Connection, i64)> {
        let (connection, came) = self.open.remove(id)?;
        // A clock that was set back leaves entries of the future, which are no older for it.
        (now_ms - came < LIFETIME_MS).then_some((connection, came))
    }

    fn put(&mut self, id: String, connection: Connection, came: i64) {
        if self
            .order
            .back()
            .is_none_or(|(last, at)| *last != id || *at != came)
        {
            self.order.push_back((id.clone(), came));
        }
        self.open.insert(id, (connection, came));
        while self.order.len() > 2 * MAX_CONNECTIONS || self.open.len() > MAX_CONNECTIONS {
            let Some((oldest, at)) = self.order.pop_front() else {
                break;
            };
            if self.open.get(&oldest).is_some_and(|(_, came)| *came == at)
                && !self.order.iter().rev().take(8).any(|(id, _)| *id == oldest)
            {
                self.open.remove(&oldest);
            }
        }
    }
}

impl Connection {
    fn note_user(&mut self) {
        if let Some(user) = self.groups.get("user").filter(|user| !user.is_empty()) {
            self.users.insert(user.to_owned());
        }
    }

    /// Adds a line to what is known.
    fn join(&mut self, line: Self, is_gained: bool) {
        if let Some(user) = line.groups.get("user").filter(|user| !user.is_empty()) {
            self.users.insert(user.to_owned());
        }
        let was_unfailed = self.groups.take("nofail") | self.groups.take("mlfgained");
        if is_gained {
            self.is_pending = false;
        }
        if !was_unfailed && !self.is_pending {
            // That failure is told already.
            self.matches = 0;
        }
        self.groups.update(line.groups);
    }

    fn failure(&self, host: Host, time_ms: Option<i64>, pattern: usize) -> Failure {
        let id = self.groups.get("fid").map(str::to_owned);
        Failure {
            id: id.filter(|id| *id != host.to_string()),
            host,
            time_ms,
            user: self.groups.get("user").map(str::to_owned),
            users: self.users.iter().cloned().collect(),
            groups: self.groups.entries().to_vec(),
            attempts: self.matches,
            pattern,
        }
    }
}
