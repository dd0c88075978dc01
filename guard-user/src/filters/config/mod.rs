//! What the files of a filter, or of jails, say: fail2ban's configuration language. Nothing is matched here.

pub(crate) mod definition;
pub(crate) mod files;
pub(crate) mod ini;
pub mod problem;
pub(crate) mod values;

pub use definition::Definition;
pub use values::Given;

#[cfg(test)]
mod tests;
