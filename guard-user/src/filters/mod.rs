//! Filters: what a log line says about who failed. Reads fail2ban's filters and guard's own, which are
//! written the same way, and gives the results that fail2ban gives. Reads no logs and bans nobody.

pub mod builtin;
pub mod catalog;
pub mod config;
mod dates;
mod engine;
pub mod forgeable;
mod pattern;
mod stock;

pub use catalog::{Catalog, Spec};
pub use config::{Definition, Given, problem::Problem};
pub use engine::{Failure, Filter, FilterCounts, Groups, Host, LineOutcome, LineTime};
#[cfg(feature = "testing")]
pub use pattern::testing;
