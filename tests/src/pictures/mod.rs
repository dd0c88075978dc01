//! Pictures for the documents, made from real runs: `cargo xtask pictures`.
//!
//! A picture is what a program of guard showed of real traffic between hosts of the lab. Nothing is drawn by hand.

mod scene;
mod svg;
mod top;
mod web;

pub use scene::Scene;
pub use top::top;
pub use web::web;
