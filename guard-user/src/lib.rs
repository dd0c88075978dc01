//! guard's controller: the library behind `guardctl`.

pub mod cli;
pub mod controller;
pub mod dataplane;
pub mod explain;
pub mod failure;
pub mod host;
pub mod layout;
pub mod output;
pub mod ruleset;
