//! What guard's kernel program and its controller share: the types that cross the kernel boundary
//! (`abi`), bytes to facts (`packet`) and facts to a verdict (`policy`).
//!
//! This crate never touches a map, a clock, a socket or an allocator: time and tables are
//! arguments. The same code runs in the kernel, in unit tests, in the fuzzer and in the model.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]

pub mod abi;
#[cfg(feature = "std")]
pub mod memory;
pub mod packet;
pub mod policy;
#[cfg(feature = "testing")]
pub mod testing;

pub use policy::evaluate;
