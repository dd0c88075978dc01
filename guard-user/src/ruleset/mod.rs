//! What a policy means. No kernel, no sockets: everything here runs without root.

pub mod compile;
pub mod model;
#[cfg(feature = "testing")]
pub mod sample;
