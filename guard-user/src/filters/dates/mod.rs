//! Dates of log lines: where they are, which is cut out before patterns are matched, and, for lines
//! that matter, what time they mean.

mod detector;
mod error;
mod fields;
mod frequent;
mod template;
mod zones;

pub(super) use detector::{Cut, Detector};
