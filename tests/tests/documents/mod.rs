//! What the documents tell an operator to type, typed on a server: each command of a chapter does what it says, one
//! after the other.

mod chapters;
mod document;
mod scene;
