//! Empty on purpose: lets `guard-user` name this package as a build dependency, so that cargo
//! rebuilds the BPF object when its sources change.
#![no_std]
