//! What needs a kernel and no other program: tables of packets, the object, sockets. `cargo xtask test --quick` runs it,
//! and so do the virtual machines.

mod ceiling_exceeded;
mod essential;
mod evasion;
mod flags;
mod flows;
mod fragments;
mod ingress;
mod lifetimes;
mod monitor;
mod object;
mod order;
mod parity;
mod related;
mod rules;
mod sessions;
mod truncation;
mod wrapping;
