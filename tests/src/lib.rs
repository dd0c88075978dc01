//! What the tests of this package share: the loaded program under test (`harness`), hosts to run it
//! between (`netns`, `guarded`), what reaches the stack (`witness`), random frames (`frames`) and the reasons to skip (`require`).

pub mod frames;
pub mod guarded;
pub mod harness;
pub mod netns;
pub mod require;
pub mod witness;
