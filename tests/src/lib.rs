//! What the tests of this package share.

pub mod lab;
pub mod require;
