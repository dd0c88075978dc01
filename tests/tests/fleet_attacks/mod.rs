//! A34: whoever got hold of one host of a fleet, or of its server, shuts nobody out elsewhere, lets nobody in, and keeps
//! nobody from hearing of attackers. Real NATS, real guard-fleet, real daemons.

mod clocks;
mod names;
mod policies;
mod servers;
mod signs_of_life;
mod streams;
mod taken_over;
mod words;
