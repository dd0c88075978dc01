//! The kernel's side of the controller: the only module that imports aya.

pub mod adopt;
mod answer;
pub mod attach;
pub mod attachments;
pub mod bans;
pub mod bpffs;
pub mod ceilings;
pub mod clock;
pub mod closed;
pub mod counters;
mod crossing;
pub mod detach;
pub mod egress;
mod enlarge;
pub mod exempt;
pub mod explain;
pub mod filtering;
pub mod flows;
pub mod heal;
pub mod installation;
pub mod mapping;
pub mod object;
pub mod pins;
pub mod preflight;
pub mod reattach;
mod refusal;
pub mod slots;
mod takeover;

pub use ceilings::Ceilings;
pub use counters::Counters;
pub use exempt::MeterTable;
pub use flows::FlowTable;
pub use object::{LoadError, Object, Parameters, Purpose};
pub use slots::PolicySlots;
