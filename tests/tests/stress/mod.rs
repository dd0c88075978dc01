//! Logs as fast as they can be read, a daemon that is killed all the time, disks that are full and files
//! that are damaged.

mod damage;
mod endless;
mod flood;
mod full;
mod journal;
mod kills;
mod scene;
