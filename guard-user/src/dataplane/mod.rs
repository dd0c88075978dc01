//! The kernel's side of the controller: the only module that imports aya.
//!
//! From the ground up, the folders are the tables in shared memory, the object with the programs, what is
//! pinned, and the programs of one interface. The files beside them act on the firewall as a whole.

pub mod bpffs;
pub mod clock;

pub mod tables;

pub mod object;

pub mod pins;

pub mod interface;

pub mod adopt;
pub mod bans;
mod crossing;
mod enlarge;
pub mod explain;
pub mod heal;
pub mod installation;
pub mod preflight;
pub mod removal;
pub mod rule_hits;
pub mod run_time;
pub mod spare;
pub mod takeover;
pub mod trial;
pub mod watch;
