//! A2: a change with a deadline is kept or goes by itself, whatever becomes of the command that made
//! it, and the files on disk change only when it is confirmed.

mod answer;
mod daemon;
mod first;
mod kills;
mod remote;
mod returns;
mod scene;
mod setup;
