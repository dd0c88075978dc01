//! Bans: A16 (without a reboot), the second half of A12, A20, and feeds.

mod clock;
mod copy;
mod feeds;
mod force;
mod huge;
mod import;
mod operators;
mod protected;
mod scale;
mod scene;
mod store;
