//! What the tests of this package share: the loaded program under test (`harness`), hosts to run it
//! between (`netns`), random frames (`frames`) and the reasons to skip (`require`).

pub mod frames;
pub mod harness;
pub mod netns;
pub mod require;
