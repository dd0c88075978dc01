//! guard's controller: the library behind `guardctl`.

pub mod bans;
pub mod cli;
pub mod control;
pub mod controller;
pub mod daemon;
pub mod dataplane;
pub mod explain;
pub mod failure;
pub mod filters;
pub mod host;
pub mod jails;
pub mod layout;
pub mod logs;
pub mod output;
pub mod ruleset;
