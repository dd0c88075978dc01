//! What becomes of a packet, and why: asked of the loaded program itself, on its own tables, without
//! moving a counter; or of the model of a policy file, without root.

pub(crate) mod answer;
mod frame;
mod question;

pub use answer::{Explained, Explanation, Left, Session, WayIn};
pub use frame::build;
pub use question::{Question, Transport, parse};
