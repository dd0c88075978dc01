//! What the tests of this package share.

pub mod demo;
pub mod lab;
pub mod require;
