//! Lines of one connection belong together: `<F-MLFID>` says which. What `<F-NOFAIL>` marks is no failure
//! by itself and is remembered; `<F-MLFGAINED>` says that the user came in after all, and
//! `<F-MLFFORGET>` that the connection is over.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use super::{
    found::{self, Groups},
    verdict::{self, Failure, Host, Outcome},
};

/// Connections that are remembered, at least. fail2ban remembers 100, which a flood of connections
/// replaces within a second.
const LEAST_CONNECTIONS: usize = 4096;
/// How long one is remembered; fail2ban's own value.
const LIFETIME_MS: i64 = 5 * 60_000;

/// Users of one connection that are remembered; sshd allows six tries.
const MAX_USERS: usize = 32;

/// What is known of a connection.
#[derive(Debug)]
struct Connection {
    /// Shared with the failures that were told.
    groups: Arc<Groups>,
    /// Users, once there are two.
    users: Vec<String>,
    /// Lines of failures.
    matches: u32,
    /// Lines that were marked as no failure.
    unfailed: u32,
    /// A failure whose host is not known yet.
    is_pending: bool,
    /// When its first line came.
    came: i64,
}

/// Connections by the number of their name. Two maps bound them without a queue: when the newer one is full, it becomes the
/// older one, and what was there and in nobody's way is forgotten.
#[derive(Debug, Default)]
pub(super) struct Connections {
    newer: HashMap<u64, Connection>,
    older: HashMap<u64, Connection>,
    /// Makes numbers of names, with keys that nobody knows: no two of ten thousand names that
    /// anybody could choose have the same.
    numbers: RandomState,
}

impl Connections {
    /// Makes of a match what it means together with what is known of its connection.
    pub(super) fn settle(
        &mut self,
        pattern: usize,
        mut groups: Groups,
        lines: u32,
        time_ms: Option<i64>,
        now_ms: i64,
    ) -> Outcome {
        let is_over = groups.take(found::FORGET);
        let is_gained = groups.holds(found::GAINED);
        if is_gained && !groups.holds(found::NOFAIL) {
            // A success is no failure.
            groups.set(found::NOFAIL, "gained");
        }
        let mut line = Connection {
            groups: Arc::new(groups),
            users: Vec::new(),
            matches: 0,
            unfailed: 0,
            is_pending: false,
            came: now_ms,
        };
        let Some(id) = line.groups.get(found::CONNECTION) else {
            if line.groups.holds(found::NOFAIL) {
                return Outcome::Pending;
            }
            line.matches = lines;
            return match verdict::host(&line.groups) {
                Some(host) => Outcome::Failure(line.failure(host, time_ms, pattern)),
                None => Outcome::None,
            };
        };
        let id = self.numbers.hash_one(id);
        let known = self.take(id, now_ms);
        let mut is_unfailed = line.groups.holds(found::NOFAIL);
        let mut connection = match known {
            Some(mut known) => {
                known.join(&line, is_gained);
                known
            }
            None => line,
        };
        let mut adds_line = !is_gained;
        let was_pending = std::mem::take(&mut connection.is_pending);
        if was_pending || connection.users.len() > 1 {
            // A failure that was waiting for its host, or a second user: it counts.
            let groups = Arc::make_mut(&mut connection.groups);
            groups.remove(found::NOFAIL);
            groups.remove(found::GAINED);
            is_unfailed = false;
            adds_line = true;
        }
        if !is_unfailed {
            connection.matches += std::mem::take(&mut connection.unfailed);
            connection.matches += if adds_line { lines } else { 0 };
        } else if !is_over {
            connection.unfailed += lines;
        }
        let outcome = if connection.groups.holds(found::NOFAIL) {
            Outcome::Pending
        } else if let Some(host) = verdict::host(&connection.groups) {
            Outcome::Failure(connection.failure(host, time_ms, pattern))
        } else {
            connection.is_pending = true;
            Outcome::Pending
        };
        if !is_over {
            self.put(id, connection);
        }
        outcome
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    fn take(&mut self, id: u64, now_ms: i64) -> Option<Connection> {
        let newer = self.newer.remove(&id);
        let found = newer.or_else(|| self.older.remove(&id))?;
        // A clock that was set back leaves entries of the future, which are no older for it.
        (now_ms - found.came < LIFETIME_MS).then_some(found)
    }

    fn put(&mut self, id: u64, connection: Connection) {
        if self.newer.len() >= LEAST_CONNECTIONS {
            // Its memory is used again.
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
        }
        self.newer.insert(id, connection);
    }
}

impl Connection {
    fn add_user(&mut self, user: &str) {
        if self.users.len() < MAX_USERS && !self.users.iter().any(|known| known == user) {
            self.users.push(user.to_owned());
        }
    }

    /// Adds a line to what is known.
    fn join(&mut self, line: &Self, is_gained: bool) {
        let named = |groups: &Groups| {
            let user = groups.get(found::USER).filter(|user| !user.is_empty());
            user.map(str::to_owned)
        };
        if self.groups.get(found::USER) != line.groups.get(found::USER) {
            for user in [named(&self.groups), named(&line.groups)]
                .into_iter()
                .flatten()
            {
                self.add_user(&user);
            }
        }
        let was_unfailed = self.groups.holds(found::NOFAIL) || self.groups.holds(found::GAINED);
        if is_gained {
            self.is_pending = false;
        }
        if !was_unfailed && !self.is_pending {
            // That failure is told already.
            self.matches = 0;
        }
        let told = [found::NOFAIL, found::GAINED];
        self.groups = Arc::new(self.groups.updated(&line.groups, &told));
    }

    fn failure(&self, host: Host, time_ms: Option<i64>, pattern: usize) -> Failure {
        let id = self.groups.get(found::ID);
        Failure {
            id: id.filter(|id| *id != host.to_string()).map(str::to_owned),
            host,
            time_ms,
            users: self.users.clone(),
            groups: Arc::clone(&self.groups),
            attempts: self.matches,
            pattern,
        }
    }
}
