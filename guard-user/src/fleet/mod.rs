//! One attacker, banned on all hosts: who is a member, what this host has joined, and the process that talks to others.
//! Nothing that filters needs it.

#[cfg(feature = "fleet")]
pub mod agent;
pub mod bundle;
pub mod lapi_url;
pub mod member;
pub mod settings;

pub use lapi_url::LapiUrl;
pub use member::Member;
pub use settings::{FleetSettings, Trust};
