//! What a policy means. No kernel, no sockets: everything here runs without root.

pub mod address;
pub mod ceiling;
pub mod compile;
pub mod describe;
pub mod diagnostic;
pub(crate) mod digest;
pub mod edit;
pub(crate) mod files;
pub mod limit;
pub mod model;
pub mod names;
pub(crate) mod nearest;
mod prefixes;
pub mod probe;
pub mod profiles;
pub mod protocol;
mod schema;
pub mod service;
mod sets;
pub mod shadow;
pub mod source;
pub mod staged;
pub mod traffic;
pub mod value;
pub mod words;

pub use files::Overlay;
pub use sets::SetTable;

#[cfg(feature = "testing")]
pub mod sample;
#[cfg(test)]
pub(crate) mod testing;
