//! On and off: `enable`, `disable`, what a boot loads, a device that appears, and the units that see to it.

pub(in crate::controller) mod appear;
pub(in crate::controller) mod enable;
pub(in crate::controller) mod load;
mod new_program;
pub(in crate::controller) mod service;
