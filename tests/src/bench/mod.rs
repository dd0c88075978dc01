//! The benchmark's parts: what is measured, how, and how it is reported.

pub mod arena;
pub mod beside;
pub mod client;
pub mod cpus;
pub mod end_to_end;
pub mod filters;
pub mod fleet;
pub mod flood;
pub mod logs;
pub mod matrix;
pub mod measure;
pub mod memory;
pub mod picture;
pub mod record;
pub mod report;
pub mod rows;
pub mod series;
mod shared_maps;
pub mod tables;
pub mod until_dropped;
pub mod unwatched;
pub mod watched;
pub mod worst;
pub mod xdp_filter;
