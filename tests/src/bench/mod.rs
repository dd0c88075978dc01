//! The benchmark's parts: what is measured, how, and how it is told.

pub mod measure;
pub mod report;
pub mod rows;
pub mod series;
