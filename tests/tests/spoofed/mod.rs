//! A9: a flood from forged sources makes no entry in any table of ours, costs no living session
//! anything, and keeps no operator out.

mod flood;
mod memory;
mod scene;
mod sessions;
mod tools;
