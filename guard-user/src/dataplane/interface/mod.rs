//! The programs of one interface: putting them there, in which mode, exchanging them, taking them off, and
//! knowing whether they see its packets.

pub mod attach;
pub mod attached;
pub mod attachments;
pub mod attempt;
pub mod closed;
pub mod detach;
pub mod egress;
pub mod filtering;
pub mod reattach;
mod refusal;
mod tc_error;
pub mod why;
