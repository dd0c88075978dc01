//! What guard says it has counted, to people and to programs that collect it.

mod hits;
mod prometheus;
mod scene;
mod served;
mod stats;
mod textfile;
