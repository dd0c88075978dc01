//! guard's controller: the library behind `guardctl`.

pub mod dataplane;
pub mod failure;
pub mod host;
pub mod layout;
pub mod ruleset;
