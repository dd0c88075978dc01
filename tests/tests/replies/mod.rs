//! A7: what the server and its containers ask for is answered, and nobody else's answer is
//! delivered.

mod answers;
mod forged;
mod reassembly;
mod reflection;
mod scene;
mod tunnel;
