//! What the tests of this package share: the loaded program under test (`harness`), hosts to run it
//! between (`netns`, `guarded`), what reaches the stack (`witness`), random frames (`frames`), the reasons
//! to skip (`require`) and the benchmark.

pub mod bench;
pub mod frames;
pub mod guarded;
pub mod harness;
pub mod netns;
pub mod require;
pub mod witness;
