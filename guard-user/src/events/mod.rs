//! Packets that the filter reported: what their bytes say, how many of a kind become one line, and the file format
//! that other tools read. Needs no kernel.

pub mod drop_log;
pub mod excess;
pub mod packet;
pub mod pcapng;
pub mod summary;
