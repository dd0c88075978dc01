//! guard's controller: the library behind `guardctl`.

pub mod bans;
pub mod cli;
pub mod control;
pub mod controller;
pub mod daemon;
mod database;
pub mod dataplane;
pub mod detect;
pub mod events;
pub mod explain;
pub mod failure;
pub mod filters;
pub mod fleet;
pub mod host;
mod http;
pub mod jails;
pub mod layout;
pub mod live;
pub mod logs;
pub mod metrics;
pub mod moving_in;
pub mod output;
pub mod ruleset;
mod state_file;
pub mod text;
pub mod web;
