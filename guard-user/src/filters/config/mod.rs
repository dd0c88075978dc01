//! What a filter's files say: fail2ban's configuration language. Nothing is matched here.

pub(crate) mod definition;
mod files;
mod ini;
pub mod problem;
mod values;

pub use definition::Definition;
pub use values::Given;

#[cfg(test)]
mod tests;
