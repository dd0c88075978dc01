//! Sample lines that give another result than fail2ban expects, and why that is right.

/// One line of a sample log.
pub(crate) struct Exception {
    pub(crate) filter: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

/// Those of fail2ban's own filters.
pub(crate) const STOCK: &[Exception] = &[];

/// Those of guard's own filters: lines that give nobody.
pub(crate) const BUILTIN: &[Exception] = &[
    Exception {
        filter: "nginx-http-auth",
        file: "nginx-http-auth",
        line: 14,
        reason: "two clients, one of them written by the other: before nginx 1.21.1 it could be either",
    },
    Exception {
        filter: "sshd",
        file: "sshd",
        line: 21,
        reason: "sshd writes a port behind every address of a login",
    },
    Exception {
        filter: "sshd",
        file: "sshd-journal",
        line: 25,
        reason: "sshd writes a port behind every address of a login",
    },
    Exception {
        filter: "sshd",
        file: "sshd",
        line: 144,
        reason: "two peers, and today's sshd writes the other one: the first is part of the user's name",
    },
    Exception {
        filter: "sshd",
        file: "sshd-journal",
        line: 145,
        reason: "two peers, and today's sshd writes the other one: the first is part of the user's name",
    },
];
