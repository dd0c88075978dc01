//! Beside fail2ban: a real one whose bans are guard's, by packaging/fail2ban.

mod action;
mod import;
mod scene;
