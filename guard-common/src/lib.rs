//! What guard's kernel program and its controller share.
#![no_std]
