//! `cargo xtask demo`: a server, a friend and an attacker, with guard and without. Everything that
//! is printed was measured in the same run.

pub mod friend;
pub mod machine;
pub mod round;
pub mod screen;
pub mod stage;
pub mod summary;
