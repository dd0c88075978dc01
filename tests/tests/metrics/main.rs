//! What guard says it has counted, to people and to programs that collect it.

mod scene;
mod stats;
