//! Lines of one connection belong together: `<F-MLFID>` says which. What `<F-NOFAIL>` marks is no failure
//! by itself and is remembered; `<F-MLFGAINED>` says that the user came in after all, and
//! `<F-MLFFORGET>` that the connection is over.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState},
    sync::Arc,
};

use super::{
    found::{self, Groups},
    verdict::{self, Failure, Host, LineOutcome},
};

/// Connections that are remembered, at least. fail2ban remembers 100, which a flood of connections
/// replaces within a second.
const LEAST_CONNECTIONS: usize = 4096;
/// How long one is remembered; fail2ban's own value.
const LIFETIME_MS: i64 = 5 * 60_000;

/// Texts of a connection whose memory is used again are no longer than this, in bytes.
const SPARE_BYTES: usize = 1024;

/// Users of one connection that are remembered; sshd allows six tries.
const MAX_USERS: usize = 32;

/// What is known of a connection.
#[derive(Debug)]
struct Connection {
    /// Shared with the failures that were reported.
    groups: Arc<Groups>,
    /// Users, once there are two.
    users: Arc<Vec<String>>,
    /// Lines of failures.
    matches: u32,
    /// Lines that were marked as no failure.
    unfailed: u32,
    /// A failure whose host is not known yet.
    is_pending: bool,
    /// When its first line came.
    came: i64,
}

/// Numbers that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type ByNumber = HashMap<u64, Connection, BuildHasherDefault<Number>>;

/// Connections by the number of their name. Two maps bound them without a queue: when the newer one is full, it
/// becomes the older one, and what was there and in nobody's way is forgotten.
#[derive(Debug, Default)]
pub(super) struct Connections {
    newer: ByNumber,
    older: ByNumber,
    /// Makes numbers of names, with keys that nobody knows: no two of ten thousand names that
    /// anybody could choose have the same.
    numbers: RandomState,
    nobody: Arc<Vec<String>>,
    /// Memory for texts that is used again.
    spare: String,
    /// Connections that are forgotten: a flood begins one with every few lines.
    forgotten: Vec<Connection>,
}

/// A line that a pattern matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matched {
    pub(super) pattern: usize,
    pub(super) lines: u32,
    pub(super) time_ms: Option<i64>,
    pub(super) now_ms: i64,
}

impl Connections {
    /// Makes of a match what it means together with what is known of its connection. What is left in `groups` is
    /// of no use.
    pub(super) fn settle(&mut self, groups: &mut Groups, line: Matched) -> LineOutcome {
        let is_over = groups.take(found::FORGET);
        let is_gained = groups.holds(found::GAINED);
        if is_gained && !groups.holds(found::NOFAIL) {
            // A success is no failure.
            groups.set(found::NOFAIL, "gained");
        }
        let Some(name) = groups.get(found::CONNECTION) else {
            if groups.holds(found::NOFAIL) {
                return LineOutcome::Pending;
            }
            let Some(host) = verdict::host(groups) else {
                return LineOutcome::None;
            };
            let mut connection = self.begun_by(groups, line);
            connection.matches = line.lines;
            return LineOutcome::Failure(connection.failure(host, line));
        };
        let id = self.numbers.hash_one(name);
        if let Some(known) = self.newer.get_mut(&id).filter(|known| known.is_young(line)) {
            known.join(groups, is_gained, &mut self.spare);
            let outcome = known.evaluate(groups, line, (is_gained, is_over));
            if is_over {
                self.forget(id);
            }
            return outcome;
        }
        self.forget(id);
        let older = self.older.remove(&id);
        let mut connection = match older.filter(|known| known.is_young(line)) {
            Some(mut known) => {
                known.join(groups, is_gained, &mut self.spare);
                known
            }
            // Its end, and all that is known of it is no failure.
            None if is_over && groups.holds(found::NOFAIL) => return LineOutcome::Pending,
            None => self.begun_by(groups, line),
        };
        let outcome = connection.evaluate(groups, line, (is_gained, is_over));
        if is_over {
            keep(&mut self.forgotten, connection);
        } else {
            self.put(id, connection);
        }
        outcome
    }

    fn forget(&mut self, id: u64) {
        if let Some(connection) = self.newer.remove(&id) {
            keep(&mut self.forgotten, connection);
        }
    }

    fn begun_by(&mut self, groups: &Groups, line: Matched) -> Connection {
        let groups = match self.forgotten.pop() {
            // Whoever was told of a failure may still read the texts; then they are others.
            Some(Connection {
                groups: mut own, ..
            }) => {
                Arc::make_mut(&mut own).clone_from(groups);
                own
            }
            None => Arc::new(groups.clone()),
        };
        Connection {
            groups,
            users: Arc::clone(&self.nobody),
            matches: 0,
            unfailed: 0,
            is_pending: false,
            came: line.now_ms,
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    fn put(&mut self, id: u64, connection: Connection) {
        if self.newer.len() >= LEAST_CONNECTIONS {
            // Its memory is used again.
            std::mem::swap(&mut self.newer, &mut self.older);
            for (_, connection) in self.newer.drain() {
                keep(&mut self.forgotten, connection);
            }
        }
        self.newer.insert(id, connection);
    }
}

/// For the next one that begins.
fn keep(forgotten: &mut Vec<Connection>, connection: Connection) {
    if forgotten.len() < LEAST_CONNECTIONS && connection.groups.capacity() <= SPARE_BYTES {
        forgotten.push(connection);
    }
}

impl Connection {
    /// A clock that was set back leaves entries of the future, which are no older for it.
    fn is_young(&self, line: Matched) -> bool {
        line.now_ms - self.came < LIFETIME_MS
    }

    fn add_user(users: &mut Arc<Vec<String>>, user: Option<&str>) {
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            return;
        };
        if users.len() < MAX_USERS && !users.iter().any(|known| known == user) {
            Arc::make_mut(users).push(user.to_owned());
        }
    }

    /// Adds a line to what is known.
    fn join(&mut self, line: &Groups, is_gained: bool, spare: &mut String) {
        let (before, now) = (self.groups.get(found::USER), line.get(found::USER));
        if before != now {
            Self::add_user(&mut self.users, before);
            Self::add_user(&mut self.users, now);
        }
        let was_unfailed = self.groups.holds(found::NOFAIL) || self.groups.holds(found::GAINED);
        if is_gained {
            self.is_pending = false;
        }
        if !was_unfailed && !self.is_pending {
            // That failure is reported already.
            self.matches = 0;
        }
        let names = [found::NOFAIL, found::GAINED];
        Arc::make_mut(&mut self.groups).update(line, &names, spare);
    }

    /// What it comes to with the line that was joined last.
    fn evaluate(
        &mut self,
        groups: &Groups,
        line: Matched,
        (is_gained, is_over): (bool, bool),
    ) -> LineOutcome {
        let mut is_unfailed = groups.holds(found::NOFAIL);
        let mut adds_line = !is_gained;
        let was_pending = std::mem::take(&mut self.is_pending);
        if was_pending || self.users.len() > 1 {
            // A failure that was waiting for its host, or a second user: it counts.
            let groups = Arc::make_mut(&mut self.groups);
            groups.remove(found::NOFAIL);
            groups.remove(found::GAINED);
            is_unfailed = false;
            adds_line = true;
        }
        if !is_unfailed {
            self.matches += std::mem::take(&mut self.unfailed);
            self.matches += if adds_line { line.lines } else { 0 };
        } else if !is_over {
            self.unfailed += line.lines;
        }
        if self.groups.holds(found::NOFAIL) {
            return LineOutcome::Pending;
        }
        match verdict::host(&self.groups) {
            Some(host) => LineOutcome::Failure(self.failure(host, line)),
            None => {
                self.is_pending = true;
                LineOutcome::Pending
            }
        }
    }

    fn failure(&self, host: Host, line: Matched) -> Failure {
        let id = self.groups.get(found::ID);
        Failure {
            id: id.filter(|id| *id != host.to_string()).map(str::to_owned),
            host,
            time_ms: line.time_ms,
            users: Arc::clone(&self.users),
            groups: Arc::clone(&self.groups),
            attempts: self.matches,
            pattern: line.pattern,
        }
    }
}
