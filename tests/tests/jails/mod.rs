//! A11, the logs' half of A12, and A16 for jails: who fails to log in is banned in XDP within a moment,
//! nobody else is, and neither the death of the daemon nor a reboot lets him in.

mod clock;
mod commands;
mod forged;
mod guilty;
mod journald;
mod logins;
mod portscan;
mod scene;
mod sources;
