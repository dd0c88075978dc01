//! What a policy means. No kernel, no sockets: everything here runs without root.

pub mod ceiling;
pub mod compile;
pub mod describe;
pub mod drop_log;
pub mod edit;
pub mod flow_table;
pub mod host_names;
pub mod icmp;
pub mod labels;
pub mod limit;
pub mod listen;
pub mod mmdb;
pub mod model;
pub mod names;
pub mod on_excess;
mod prefixes;
pub mod probe;
pub mod profiles;
pub mod proposal;
pub mod protocol;
mod schema;
pub mod service;
pub mod sets;
pub mod shadow;
pub mod source;
pub mod strangers;
pub mod traffic;
pub mod until;
pub mod words;

pub use sets::SetTable;

#[cfg(feature = "testing")]
pub mod sample;
#[cfg(test)]
pub(crate) mod testing;
