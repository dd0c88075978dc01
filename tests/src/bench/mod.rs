//! The benchmark's parts: what is measured, how, and how it is told.

pub mod cases;
pub mod measure;
pub mod report;
