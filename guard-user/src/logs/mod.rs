//! Logs: the lines of files that are rotated, truncated and replaced, and those of the journal. What
//! a line means is a matter of `filters`.

pub mod matches;
