//! guard's controller: the library behind `guardctl`.

pub mod dataplane;
pub mod ruleset;
