//! The ground floor: text that people write and guard reads, and files that it writes. Values and the complaints about
//! them, places in a text, files that are read without trust and replaced as a whole. Knows nothing of policies.

pub mod address;
pub mod diagnostic;
pub(crate) mod digest;
pub(crate) mod duration;
pub(crate) mod files;
pub(crate) mod hostname;
pub(crate) mod import_mark;
pub(crate) mod nearest;
#[cfg(test)]
pub(crate) mod schema_check;
pub(crate) mod splice;
pub mod staged;
pub mod value;

pub use files::Overlay;
